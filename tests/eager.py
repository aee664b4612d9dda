"""For tests that train a few steps: run them operation by operation, since compiling takes longer.

What fixtures of a module train is compiled, as all is that a person trains.
"""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def eager() -> Iterator[None]:
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow:
        tensorflow.config.run_functions_eagerly(True)
    yield
    if tensorflow:
        tensorflow.config.run_functions_eagerly(False)
