"""Real galaxies: encoded, decoded and seen again, against parametric fits of the same stamps.

The fits are made here, by least squares in the same aperture: one Sersic profile, and a de
Vaucouleurs bulge with an exponential disk, the two models of the COSMOS catalogue. Fluxes are
solved for at every step, so only shapes are searched.
"""

import dataclasses

import galsim
import numpy as np

from galsim_hub import GenerativeGalaxyModel
from galsim_hub.network import GalaxyNetwork

from ..config import DataConfig
from ..data.stamps import Stamp, StampSource
from .morphology import segmentation
from .part import Part, Quantity
from .scenes import see

EVALUATIONS = 30  # of each fit at most
INDEX_STEP = 0.05  # of ln n: GalSim makes a table for every index, so few of them are tried
LOW_INDEX, HIGH_INDEX = (3.0 + np.log(n) for n in (0.3, 6.0))
SERSIC_BOUNDS = (
    [-3.0, -3.0, np.log(0.02), LOW_INDEX, -0.9, -0.9],
    [3.0, 3.0, np.log(3.0), HIGH_INDEX, 0.9, 0.9],
)


@dataclasses.dataclass(frozen=True)
class RealResult:
    """One real galaxy: data, four models of it behind the PSF, and each reduced chi^2."""

    ident: int
    image: np.ndarray
    models: dict[str, np.ndarray]
    chi2: dict[str, float]


def real_config(catalogue: str, model: GenerativeGalaxyModel) -> DataConfig:
    """Return the configuration that cuts stamps of a RealGalaxyCatalog as the module wants them."""
    return DataConfig(
        directory="",
        source="real",
        catalogue=catalogue,
        exclusion_level="none",
        columns={"flux_radius": "flux_radius", "mag_auto": "MAG", "zphot": "ZPHOT"},
        stamp_size=model.stamp_size,
        psf_size=model.spec.psf_size,
        pixel_scale=model.pixel_size,
        knots=None,
    )


def measure_real(
    model: GenerativeGalaxyModel, network: GalaxyNetwork, catalogue: str
) -> tuple[list[RealResult], int]:
    """Return a result for every detected galaxy of a catalogue, and the number of its galaxies."""
    from tqdm import tqdm

    source = StampSource(real_config(catalogue, model))
    results = []
    for index in tqdm(range(len(source)), unit="galaxy", disable=None):
        result = measure_stamp(source.make(index), network)
        if result is not None:
            results.append(result)
    return results, len(source)


def measure_stamp(stamp: Stamp, network: GalaxyNetwork) -> RealResult | None:
    """Model one stamp four ways, None where no galaxy is detected in it."""
    aperture = segmentation(stamp.image.astype(float), stamp.noise_variance)
    if aperture is None:
        return None
    scale = network.spec.pixel_size
    seen = stamp.image[None], stamp.psf[None]
    mean, _ = network.encode(*seen, np.float32([stamp.noise_variance]))
    best, _, [moved] = network.refine(*seen, aperture[None] / stamp.noise_variance, mean)
    models = {}
    for name, code, offset in (("module", mean, (0, 0)), ("refined", best, moved)):
        pixels = network.decode(code)[0].astype(float)
        decoded = galsim.InterpolatedImage(galsim.Image(pixels, scale=scale))
        decoded = decoded.shift(*(scale * float(d) for d in offset))
        models[name] = see(decoded, stamp.psf, len(stamp.image), scale)
    for name in ("sersic", "bulge+disk"):
        models[name] = Fit(stamp, aperture, scale).run(name)
    chi2 = {
        name: float(np.mean((stamp.image - m)[aperture] ** 2) / stamp.noise_variance)
        for name, m in models.items()
    }
    return RealResult(stamp.ident, stamp.image, models, chi2)


class Fit:
    """Least-squares fits of profiles to a stamp, in its aperture.

    Profiles are drawn by a transform of twice the stamp's side, whatever GalSim would find right
    for their wings: a search tries hundreds, and what lies beyond leaves at most a flat excess.
    """

    def __init__(self, stamp: Stamp, aperture: np.ndarray, scale: float):
        self.stamp, self.aperture, self.scale = stamp, aperture, scale
        self.grid = {"nx": 2 * len(stamp.image), "ny": 2 * len(stamp.image)}
        self.grid["scale"] = 2.0 * np.pi / (self.grid["nx"] * scale)
        psf = galsim.Image(stamp.psf.astype(float), scale=scale)
        self.transform = galsim.InterpolatedImage(psf, flux=1.0).drawKImage(**self.grid).array

    def run(self, name: str) -> np.ndarray:
        """Return the best model's noiseless stamp."""
        import scipy.optimize

        parts, start, bounds = MODELS[name]
        guess = np.clip(start, np.add(bounds[0], 1e-6), np.subtract(bounds[1], 1e-6))
        found = scipy.optimize.least_squares(
            lambda p: self.residuals(parts(p)),
            guess,
            bounds=bounds,
            max_nfev=EVALUATIONS,
            x_scale="jac",
            diff_step=0.03,
        )
        return self.solve(parts(found.x))

    def residuals(self, profiles: list[galsim.GSObject]) -> np.ndarray:
        """Return the residuals in the aperture, in standard deviations of the noise."""
        difference = (self.solve(profiles) - self.stamp.image)[self.aperture]
        return difference / np.sqrt(self.stamp.noise_variance)

    def solve(self, profiles: list[galsim.GSObject]) -> np.ndarray:
        """Return the non-negative sum of profiles nearest to the stamp."""
        import scipy.optimize

        drawn = [self.draw(p) for p in profiles]
        design = np.stack([d[self.aperture] for d in drawn], axis=1)
        fluxes, _ = scipy.optimize.nnls(design, self.stamp.image[self.aperture].astype(float))
        return np.tensordot(fluxes, drawn, axes=1)

    def draw(self, profile: galsim.GSObject) -> np.ndarray:
        """Return a profile's stamp behind the PSF."""
        size = len(self.stamp.image)
        # A stamp of even side has its centre half a pixel below the transform's.
        centred = profile.shift(-0.5 * self.scale, -0.5 * self.scale)
        seen = np.fft.ifftshift(centred.drawKImage(**self.grid).array * self.transform)
        wide = np.fft.fftshift(np.fft.ifft2(seen).real)
        return wide[size // 2 : size // 2 + size, size // 2 : size // 2 + size]


def sersic_profiles(p: np.ndarray) -> list[galsim.GSObject]:
    """Return one Sersic profile: centre [pixel], log radius, 3 + log index, shape."""
    index = np.exp(INDEX_STEP * np.floor((p[3] - LOW_INDEX) / INDEX_STEP)) * 0.3
    profile = galsim.Sersic(n=min(index, 6.0), half_light_radius=np.exp(p[2]))
    return [_place(profile, p[4], p[5], p[0], p[1])]


def bulge_disk_profiles(p: np.ndarray) -> list[galsim.GSObject]:
    """Return bulge and disk on one centre, each with its own size and shape."""
    bulge = galsim.DeVaucouleurs(half_light_radius=np.exp(p[2]))
    disk = galsim.Exponential(half_light_radius=np.exp(p[5]))
    return [_place(bulge, p[3], p[4], p[0], p[1]), _place(disk, p[6], p[7], p[0], p[1])]


def _place(profile: galsim.GSObject, g1: float, g2: float, x: float, y: float) -> galsim.GSObject:
    length = max(1.0, np.hypot(g1, g2) / 0.9)
    return profile.shear(g1=g1 / length, g2=g2 / length).shift(0.03 * x, 0.03 * y)


_DISK_BOUNDS = tuple([*b[:3], *b[4:], b[2], *b[4:]] for b in SERSIC_BOUNDS)
MODELS = {
    "sersic": (sersic_profiles, [0.0, 0.0, np.log(0.3), 3.4, 0.05, 0.05], SERSIC_BOUNDS),
    "bulge+disk": (
        bulge_disk_profiles,
        [0.0, 0.0, np.log(0.2), 0.05, 0.05, np.log(0.4), 0.05, 0.05],
        _DISK_BOUNDS,
    ),
}


def real_part(results: list[RealResult], total: int) -> Part:
    """Compare the reduced chi^2 of the module with those of the fits."""
    values = {k: np.array([r.chi2[k] for r in results]) for k in ("module", "refined", *MODELS)}
    medians = {k: float(np.median(v)) for k, v in values.items()}
    best = float(np.median(np.minimum(values["sersic"], values["bulge+disk"])))
    texts = {
        "module": "encode and decode",
        "refined": "encode(refine=True) and decode",
        "sersic": "best Sersic fit",
        "bulge+disk": "best bulge+disk fit",
    }
    quantities = [
        Quantity(
            f"real_chi2_{k}", f"real stamps, median reduced chi2 of {texts[k]}", v, style=".2f"
        )
        for k, v in medians.items()
    ]
    quantities.append(
        Quantity(
            "real_chi2_excess",
            "real stamps, median reduced chi2 of the refined code less that of the better fit",
            medians["refined"] - best,
            style="+.2f",
        )
    )
    protocol = (
        f"{len(results)} of {total} real HST/ACS stamps, those in which a galaxy is detected; the "
        "posterior's mean, plain and refined (with the centre, as in the fits) in the galaxy's "
        "aperture, decoded and convolved with "
        "the PSF; the mean squared residual in that aperture (5x5 boxcar above 1.5 sigma) over the "
        "noise variance, whose expectation is 1 whatever the noise's correlation. Fits by least "
        "squares in the same aperture."
    )
    lines = ["| IDENT | module | refined | Sersic | bulge+disk |", "| --- " * 5 + "|"]
    lines += [
        f"| {r.ident} | " + " | ".join(f"{r.chi2[k]:.2f}" for k in values) + " |" for r in results
    ]
    return Part("real", protocol, quantities, "\n".join(lines) + "\n")
