"""Keras for all modules that need it, imported without TensorFlow's start-up messages."""

from contextlib import suppress

from lykeion.core.library_output import quiet_import

with quiet_import():
    import keras

    with suppress(ImportError):  # Keras imports it on every backend, but on some of them only when it trains
        import tensorflow  # noqa: F401  # pyright: ignore[reportMissingModuleSource]

__all__ = ["keras"]
