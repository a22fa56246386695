"""The names of other particle-mesh codes, for scripts that were written for them."""
