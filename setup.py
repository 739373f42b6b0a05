"""The package's metadata; the tools are configured in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
init = (here / "deployer" / "__init__.py").read_text(encoding="utf-8")
version = re.search(r'^__version__ = "(.+)"$', init, re.MULTILINE)
assert version, "deployer/__init__.py has no __version__"

docs = ["furo", "sphinx>=7", "sphinx-copybutton"]
lint = ["ruff>=0.6"]
types = ["basedpyright>=1.20", "mypy>=1.11", "types-paramiko"]
dask = ["distributed>=2024.1"]
jinja2 = ["jinja2>=3.1"]
test = [
    *jinja2,
    "asciinema>=2.4",
    "hypothesis>=6",
    "mypy>=1.11",
    "pyte>=0.8",
    "pytest>=8",
    "pytest-rerunfailures>=15",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",
]

setup(
    name="deployer",
    version=version[1],
    description="Run things on hosts over SSH, described as a tree of Python classes",
    long_description=(here / "README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    license="BSD-3-Clause",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    install_requires=["paramiko>=5", "termcolor>=2.1"],
    extras_require={
        "dask": dask,
        "docs": docs,
        "jinja2": jinja2,
        "lint": lint,
        "test": test,
        "types": types,
        "dev": [*dask, *docs, *lint, *test, *types, "tox>=4"],
    },
    packages=find_packages(include=["deployer", "deployer.*"]),
    package_data={"deployer": ["py.typed"], "deployer.run.commands": ["completion.*sh"]},
    # Fixtures for those who test their deployments.
    entry_points={"pytest11": ["deployer = deployer.testing.plugin"]},
    zip_safe=False,
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: System :: Systems Administration",
        "Typing :: Typed",
    ],
)
