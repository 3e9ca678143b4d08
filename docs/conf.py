"""How the site is made of these pages: ``sphinx-build -W docs site``."""

from importlib.metadata import version as version_of

project = "Identity reconciliation"
copyright = "its authors; MIT licence"
version = release = version_of("identity-reconciliation")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinxcontrib.mermaid"]
root_doc = "contents"
html_theme = "furo"
html_title = project
html_show_sphinx = False

myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "description"
autodoc_class_signature = "separated"
napoleon_use_ivar = True

# An ellipsis stands for what an example leaves out; that is no JSON.
suppress_warnings = ["misc.highlighting_failure"]
