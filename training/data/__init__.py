"""Stamp sets: galaxies with their PSF, noise level and conditions, as TFRecord shards."""
