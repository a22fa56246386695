"""Whether the population prefers a direction: noiseless galaxies, no PSF, no noise."""

from collections.abc import Iterator

import numpy as np

from galsim_hub import GenerativeGalaxyModel

from .part import Part, Quantity
from .scenes import SEED

BATCH = 256
WEIGHT_RADII = 1.0  # sigma of the weight, in units of flux_radius


def isotropy_part(model: GenerativeGalaxyModel, conditions: np.ndarray, draws: int) -> Part:
    """Measure mean ellipticities of `draws` galaxies at conditions (n, d), taken in turn."""
    from tqdm import tqdm

    shapes = []
    with tqdm(total=draws, unit="galaxy", disable=None) as bar:
        for images, radii in batches(model, conditions, draws):
            shapes.append(ellipticities(images, radii))
            bar.update(len(images))
    complex_shape = np.concatenate(shapes)
    quantities = []
    for key, text, values in moments(complex_shape):
        error = float(values.std() / np.sqrt(len(values)))
        mean = float(values.mean())
        quantities.append(
            Quantity(f"isotropy_{key}_mean", f"mean {text}", mean, error, style="+.5f")
        )
        quantities.append(
            Quantity(
                f"isotropy_{key}", f"mean {text}, in standard errors", mean / error, style="+.2f"
            )
        )
    protocol = (
        f"{draws:,} galaxies without PSF and noise, at conditions of the data. Ellipticities of "
        "the second moments about the centre of light, under a round Gaussian weight as wide as "
        "flux_radius. The 4 phi terms tell whether position angles know the pixel grid."
    )
    return Part("isotropy", protocol, quantities)


def batches(
    model: GenerativeGalaxyModel, conditions: np.ndarray, draws: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield images and their flux_radius, a batch at a time."""
    radius = model.quantities.index("flux_radius")
    for start in range(0, draws, BATCH):
        numbers = np.arange(start, min(start + BATCH, draws))
        rows = conditions[numbers % len(conditions)]
        table = dict(zip(model.quantities, rows.T, strict=True))
        seeds = [SEED + int(number) for number in numbers]
        yield model.sample_images(table, seeds=seeds), rows[:, radius]


def ellipticities(images: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return e1 + i e2 of each image (n, y, x), weighted by a Gaussian of `radii` [pixel]."""
    axis = np.arange(images.shape[-1], dtype=float)
    images = images.astype(float)
    flux = images.sum(axis=(1, 2))
    x = axis[None, :] - (images.sum(axis=1) @ axis / flux)[:, None]
    y = axis[None, :] - (images.sum(axis=2) @ axis / flux)[:, None]
    width = 2.0 * (WEIGHT_RADII * radii[:, None]) ** 2
    seen = images * np.exp(-(y**2) / width)[:, :, None] * np.exp(-(x**2) / width)[:, None, :]
    xx = np.einsum("nyx,nx->n", seen, x**2)
    yy = np.einsum("nyx,ny->n", seen, y**2)
    xy = np.einsum("nyx,ny,nx->n", seen, y, x, optimize=True)
    return (xx - yy + 2.0j * xy) / (xx + yy)


def moments(shape: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    """Return what must vanish on average: both ellipticities and the 4 phi terms of the angle."""
    turn = (shape / np.maximum(np.abs(shape), 1e-12)) ** 2
    return [
        ("g1", "e1", shape.real),
        ("g2", "e2", shape.imag),
        ("cos4", "cos 4 phi", turn.real),
        ("sin4", "sin 4 phi", turn.imag),
    ]
