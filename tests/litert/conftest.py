from tests.engines.conftest import changed, model

__all__ = ["changed", "model"]
