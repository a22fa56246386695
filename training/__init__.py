"""Training of the hub's modules: data, models, export, validation (``python -m training``)."""
