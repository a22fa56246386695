"""Halo fields on top of a particle mesh, learned from haloes of better runs (arXiv:1805.02247)."""
