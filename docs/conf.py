"""How Sphinx builds the documentation: ``sphinx-build -n -W docs OUTPUT``."""

import deployer

project = "deployer"
author = "the deployer contributors"
project_copyright = author
release = version = deployer.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "Run things on hosts, from a tree of Python classes"}

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
default_role = "py:obj"
# What annotations name and no page of ours describes: the standard library, type variables, and
# what is imported for type checkers only.
nitpick_ignore_regex = [
    ("py:.*", r"(collections\.abc|concurrent\.futures)\..*|.*\b[A-Z]|.*\._\w+|Executor|Progress"),
]
