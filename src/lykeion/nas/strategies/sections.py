"""Rows of an architecture as a separate Keras model. Imports Keras."""

from lykeion.nets import EMBEDDING, Architecture, Row, build_keras
from lykeion.nets.quiet_keras import keras


def section(
    name: str, rows: tuple[Row, ...], height: int, width: int, channels: int, *, momentum: float, seed: int
) -> keras.Model:
    """A model from (n, height, width, channels) to the output of the rows; its weights are numbered from row 0."""
    whole = build_keras(
        Architecture(name, height, width, rows, classes=1, channels=channels),
        output="embedding",
        batch_norm_momentum=momentum,
        seed=seed,
    )
    return keras.Model(whole.inputs, whole.get_layer(EMBEDDING).input, name=whole.name)
