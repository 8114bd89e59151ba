"""Puts the weights and examples of a checkout into the package that is built; the rest stands in pyproject.toml."""

from setuptools import find_packages, setup

BUNDLED = {"wavemesh.bundled_files.weights": "assets/weights", "wavemesh.bundled_files.examples": "examples"}

setup(
    packages=[*find_packages(include=["wavemesh*"]), *BUNDLED],
    package_dir=BUNDLED,
    package_data={
        "wavemesh.ui": ["page.css"],
        "wavemesh.ui.generate": ["*.js"],
        "wavemesh.ui.viewer": ["viewer.js.gz", "viewer.css"],
        **{package: ["**/*"] for package in BUNDLED},
    },
)
