"""``python -m galsim_hub`` is the command ``galsim-hub``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
