"""Measure an exported module against held-out stamps, with the same PSFs and noise."""
