from tests.registry.conftest import _home as _home
