"""What can go wrong while a module is made.

`TrainingError` is the base. Each message says what was wrong and what to do about it.
"""


class TrainingError(Exception):
    """Base of every error that `python -m training` raises on purpose."""


class ConfigError(TrainingError):
    """Raise when a configuration file has an unknown, missing or impossible entry."""


class DataError(TrainingError):
    """Raise when an input of the stamp set is missing, damaged or not what it claims to be."""


class DivergedError(TrainingError):
    """Raise when a loss is not finite; the last good checkpoint stays on disk."""


class DamagedRunError(TrainingError):
    """Raise when a file that a fit left, such as a checkpoint or weights, cannot be read."""


class ExportError(TrainingError):
    """Raise when an exported program is not the one that was trained."""


class MissingExtraError(TrainingError):
    """Raise when a measurement needs a package that an extra of the project brings."""
