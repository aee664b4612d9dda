"""Rows of an architecture as a Keras model of their own. Imports Keras."""

from lykeion.nets import EMBEDDING, Architecture, Row, build_keras
from lykeion.nets.quiet_keras import keras


def section(
    name: str, rows: tuple[Row, ...], height: int, width: int, channels: int, *, momentum: float, seed: int
) -> keras.Model:
    """From an input (n, height, width, channels) to what the rows make of it; its weights are those of row 0 on."""
    whole = build_keras(
        Architecture(name, height, width, rows, classes=1, channels=channels),
        output="embedding",
        batch_norm_momentum=momentum,
        seed=seed,
    )
    return keras.Model(whole.inputs, whole.get_layer(EMBEDDING).input, name=whole.name)
