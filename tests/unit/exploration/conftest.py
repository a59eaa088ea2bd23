"""The data sets of the unit tests of `data`, here too."""

from tests.unit.data.conftest import write_faces

__all__ = ["write_faces"]
