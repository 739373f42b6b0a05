"""How Sphinx builds the documentation: ``sphinx-build -n -W docs OUTPUT``."""

import sys
from pathlib import Path

import deployer

sys.path.insert(0, str(Path(__file__).parent))

project = "deployer"
author = "the deployer contributors"
project_copyright = author
release = version = deployer.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinx_copybutton", "screen"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"deployer {version}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
# What is copied from an example is what one types.
copybutton_exclude = ".linenos, .gp, .go"

# No language is guessed: what is code says so.
highlight_language = "text"
default_role = "py:obj"

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
# What annotations name and no page of ours describes: the standard library, type variables, and
# what is imported for type checkers only.
nitpick_ignore_regex = [
    ("py:.*", r"(collections\.abc|concurrent\.futures)\..*|.*\b[A-Z]|.*\._\w+|Executor|Progress"),
]
