"""The likelihood of a stamp: its PSF as a complex transform, its noise in Fourier space.

p(x | z) = N(PSF * g(z), Sigma), as in Lanusse et al. 2021 (arXiv:2008.03833, eq. 8), with Sigma
diagonal in Fourier space.
"""

import tensorflow as tf


def convolve(images: tf.Tensor, psfs: tf.Tensor) -> tf.Tensor:
    """Convolve each image with its own PSF, keeping phase and padding so that nothing wraps.

    Parameters
    ----------
    images
        float32 (n, s, s).
    psfs
        float32 (n, p, p), p odd, centred on the central pixel.

    Returns
    -------
    float32 (n, s, s), the central part of the linear convolution.
    """
    size, half = images.shape[-1], psfs.shape[-1] // 2
    full = good_size(size + half)
    length = [full, full]
    product = tf.signal.rfft2d(images, length) * tf.signal.rfft2d(psfs, length)
    return tf.signal.irfft2d(product, length)[:, half : half + size, half : half + size]


def good_size(minimum: int) -> int:
    """Return the smallest even size with no prime factor above 5 that holds `minimum` pixels."""
    size = minimum + minimum % 2
    while _largest_factor(size) > 5:
        size += 2
    return size


def chi_square(
    residuals: tf.Tensor, noise_power: tf.Tensor, noise_variance: tf.Tensor
) -> tf.Tensor:
    """Return the chi^2 of each residual stamp under its correlated noise, (n,).

    Its mean for pure noise is the number of pixels.

    Parameters
    ----------
    residuals
        float32 (n, s, s) [count].
    noise_power
        Expected periodogram of unit-variance noise, (n, s, s // 2 + 1) (see `data.noise`).
    noise_variance
        (n,) [count^2].
    """
    size = residuals.shape[-1]
    scaled = residuals / (size * tf.sqrt(noise_variance))[:, None, None]
    transform = tf.signal.rfft2d(scaled)
    power = tf.math.real(transform) ** 2 + tf.math.imag(transform) ** 2
    # Every column of the half plane stands for two, but the first and the last.
    twice = tf.concat([[1.0], tf.fill([size // 2 - 1], 2.0), [1.0]], 0)
    return tf.reduce_sum(power / noise_power * twice, axis=[1, 2])


def kl_divergence(mean: tf.Tensor, log_scale: tf.Tensor) -> tf.Tensor:
    """Return KL(N(mean, scale^2) || N(0, 1)) summed over the latents, (n,) [nat]."""
    return 0.5 * tf.reduce_sum(mean**2 + tf.exp(2.0 * log_scale) - 1.0 - 2.0 * log_scale, axis=-1)


def flux_weight(flux: tf.Tensor, cap: float) -> tf.Tensor:
    """Return the weight 1 / (1 + (flux / cap)^2), so that the brightest do not own the loss."""
    return 1.0 / (1.0 + (flux / cap) ** 2)


def robust(misfit: tf.Tensor, scale: float) -> tf.Tensor:
    """Return the misfit itself up to `scale` and ``scale (1 + log(misfit / scale))`` beyond, (n,).

    A galaxy that the model cannot fit yet pulls with the strength of its relative misfit, as under
    a Student likelihood; one that it fits counts in full. Without it, gradients early in training
    are those of the few brightest galaxies.
    """
    beyond = tf.math.log(tf.maximum(misfit, scale) / scale)
    return tf.minimum(misfit, scale) + scale * beyond


def roughness(residual: tf.Tensor) -> tf.Tensor:
    """Return the mean squared Laplacian of a log image, (n,): the likelihood does not see it."""
    centre = residual[:, 1:-1, 1:-1]
    around = (
        residual[:, :-2, 1:-1]
        + residual[:, 2:, 1:-1]
        + residual[:, 1:-1, :-2]
        + residual[:, 1:-1, 2:]
    )
    return tf.reduce_mean((around - 4.0 * centre) ** 2, axis=[1, 2])


def _largest_factor(number: int) -> int:
    for prime in (2, 3, 5):
        while number % prime == 0:
            number //= prime
    return number if number > 1 else 5
