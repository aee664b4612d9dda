from tests.passes import passes_at_once  # noqa: F401 - a fixture
