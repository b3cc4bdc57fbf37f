"""How Sphinx builds the documentation: ``make docs``."""

from importlib.metadata import version as version_of

project = "pikaserver"
project_copyright = "the pikaserver authors, Apache License 2.0"
version = release = version_of("pikaserver")

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "plugin-example", "plugin-template"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = f"pikaserver {release}"
html_copy_source = False
html_show_sphinx = False
