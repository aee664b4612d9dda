from tests.eager import eager  # noqa: F401 - a fixture
