"""Sphinx configuration; `make docs` builds with warnings as errors."""

import galsim_hub

project = "galsim_hub"
author = "galsim_hub developers"
project_copyright = f"2026, {author}"
release = galsim_hub.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "images"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings name the types
numpydoc_show_class_members = False  # autodoc lists them

html_theme = "furo"
html_title = project
