"""The folders that the gallery's tests read and write: a library of models, and examples of two objects."""

from tests.data.conftest import write_library
from tests.ui.conftest import examples_folder

__all__ = ["examples_folder", "write_library"]
