"""Training of the hub's modules: data sets, models, export and validation. Run as ``python -m training``."""
