import importlib
import pkgutil
from types import ModuleType

import pytest

from lykeion import search


@pytest.mark.parametrize("name", search.__all__)
def test_a_name_of_the_package_is_what_it_promises_whatever_is_imported(name: str) -> None:
    for module in pkgutil.iter_modules(search.__path__):
        importlib.import_module(f"lykeion.search.{module.name}")
    assert callable(getattr(search, name))
    assert not isinstance(getattr(search, name), ModuleType)


def test_a_name_it_lacks_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'find'"):
        search.find  # noqa: B018
