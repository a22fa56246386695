"""PSF stamps: unit sum, centred on the central pixel, whatever file they come from."""

import galsim
import numpy as np
import pytest
from astropy.io import fits

from training.data.psfs import (
    centre_psf,
    centroid,
    load_psfs,
    optical_psf,
    optical_psf_stamp,
    pad_psf,
    psf_profile,
    register_psf,
    shift_psf,
)
from training.errors import DataError


def blob(height: int, width: int) -> np.ndarray:
    """Return an asymmetric blob whose brightest pixel is the central one."""
    y, x = np.mgrid[:height, :width]
    y, x = y - height // 2, x - width // 2
    return np.exp(-(x**2 + 2 * y**2 + x * y) / 4.0) * (1 + 0.1 * (x > 0))


@pytest.mark.parametrize("shape", [(11, 11), (37, 39), (9, 41)])
@pytest.mark.parametrize("size", [17, 65])
def test_padding_or_cutting_keeps_the_centre_and_sums_to_one(shape, size):
    padded = pad_psf(7.0 * blob(*shape), size)
    assert padded.shape == (size, size)
    assert padded.dtype == np.float32
    assert np.unravel_index(padded.argmax(), padded.shape) == (size // 2, size // 2)
    # float32 keeps 7 digits; the sum of 4225 of them is good to 1e-6.
    assert padded.sum(dtype=float) == pytest.approx(1.0, abs=1e-6)


def test_padding_changes_no_ratio_of_pixels():
    stamp = blob(11, 13)
    padded = pad_psf(stamp, 17)
    inside = padded[3:14, 2:15]
    np.testing.assert_allclose(inside, stamp / stamp.sum(), rtol=1e-6)
    assert np.count_nonzero(padded) == stamp.size


@pytest.mark.parametrize(("shape", "size"), [((10, 11), 17), ((11, 10), 17), ((11, 11), 16)])
def test_even_side_has_no_central_pixel_and_is_refused(shape, size):
    with pytest.raises(DataError, match="odd"):
        pad_psf(np.ones(shape), size)


@pytest.mark.parametrize("stamp", [np.zeros((5, 5)), np.full((5, 5), np.nan), -np.ones((5, 5))])
def test_psf_without_light_is_refused(stamp):
    with pytest.raises(DataError, match="normalised"):
        pad_psf(stamp, 5)


def test_missing_file_error_names_two_remedies():
    with pytest.raises(DataError, match=r"cosmos_acs_f814w_psfs.*null"):
        load_psfs("nowhere.fits", 17, 0.03)


def test_every_extension_is_one_psf(tmp_path):
    stamps = [blob(9, 11), blob(13, 9)]
    hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(stamp) for stamp in stamps)]
    fits.HDUList(hdus).writeto(tmp_path / "psfs.fits")
    library = load_psfs(str(tmp_path / "psfs.fits"), 17, 0.03)
    np.testing.assert_array_equal(library, [centre_psf(pad_psf(stamp, 17)) for stamp in stamps])


def test_stand_in_is_positive_and_centred():
    (stamp,) = load_psfs(None, 65, 0.03)
    assert stamp.min() >= 0.0
    axis = np.arange(65) - 32
    centroid = stamp.sum(axis=0) @ axis, stamp.sum(axis=1) @ axis
    # The aperture is symmetric under a half turn: only rounding moves the centroid.
    np.testing.assert_allclose(centroid, 0.0, atol=1e-3)


def test_stand_in_is_as_sharp_as_hubble():
    width = optical_psf(0.03).calculateFWHM()
    assert 0.07 < width < 0.12  # 1.03 * 814 nm / 2.4 m is 0.072 arcsec, then jitter and pixel


def test_profile_redraws_its_own_stamp():
    stamp = optical_psf_stamp(33, 0.03)
    profile = psf_profile(stamp, 0.03)
    drawn = profile.drawImage(nx=33, ny=33, scale=0.03, method="no_pixel").array
    assert profile.flux == 1.0
    # An interpolant passes through its nodes; single precision drawing rounds at 1e-7.
    np.testing.assert_allclose(drawn, stamp / stamp.sum(), atol=1e-6)


def test_real_library_holds_a_hundred_psfs_alike_in_width_and_centre(shared_data):
    library = load_psfs(str(shared_data / "psfs" / "cosmos_acs_f814w_psfs.fits"), 65, 0.03)
    assert library.shape == (100, 65, 65)
    np.testing.assert_allclose(library.sum(axis=(1, 2), dtype=float), 1.0, atol=1e-6)
    fits_ = [galsim.hsm.FindAdaptiveMom(galsim.Image(psf.astype(float))) for psf in library]
    sigmas = np.array([fit.moments_sigma for fit in fits_])
    centres = np.array([(fit.moments_centroid.x, fit.moments_centroid.y) for fit in fits_]) - 33
    assert sigmas.mean() == pytest.approx(1.77, abs=0.01)  # [pixel], measured by HSM
    # As they come, all of them sit 0.6 pixel up and right of the central pixel.
    np.testing.assert_allclose(centres, 0.0, atol=1e-4)


def test_shifted_psf_keeps_its_sum_and_moves_its_centroid():
    stamp = optical_psf_stamp(65, 0.03).astype(np.float32)
    moved = shift_psf(stamp, 0.4, -0.7)
    assert moved.dtype == np.float32
    assert moved.sum(dtype=float) == pytest.approx(stamp.sum(dtype=float), abs=1e-6)
    np.testing.assert_allclose(centroid(moved), [0.4, -0.7], atol=2e-3)


def test_shift_by_whole_pixels_moves_the_pixels():
    stamp = np.zeros((9, 9), np.float32)
    stamp[4, 3] = 1.0
    np.testing.assert_allclose(shift_psf(stamp, 2, -1), np.roll(stamp, (-1, 2), (0, 1)), atol=1e-7)


def test_registered_psf_sits_where_the_galaxy_does():
    galaxy = galsim.Sersic(1.0, half_light_radius=0.3, flux=50.0).shear(g1=0.2)
    image = galaxy.drawImage(nx=128, ny=128, scale=0.03, offset=(0.8, -0.3)).array
    psf = shift_psf(optical_psf_stamp(65, 0.03), 0.6, 0.6)
    np.testing.assert_allclose(centroid(register_psf(psf, image)), [0.8, -0.3], atol=5e-3)


def test_psf_of_a_galaxy_without_centroid_is_centred():
    psf = register_psf(shift_psf(optical_psf_stamp(65, 0.03), 0.6, 0.6), np.zeros((128, 128)))
    np.testing.assert_allclose(centroid(psf), 0.0, atol=2e-3)


def test_library_of_something_else_is_an_error(tmp_path):
    path = tmp_path / "noise.fits"
    stamp = np.zeros((65, 65), np.float32)
    stamp[0, 0] = 1.0
    fits.writeto(path, stamp)
    with pytest.raises(DataError, match="is it a PSF"):
        load_psfs(str(path), 65, 0.03)
