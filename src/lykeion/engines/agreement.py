"""How closely two engines agree on what a network gives."""

from dataclasses import dataclass

import numpy as np

from .accuracy import first_output
from .protocol import Engine, ModelError, TensorSpec


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over a batch: the largest difference of two outputs, as a share of the largest output; the least cosine of two
    vectors; the share of photos with the same largest output."""

    max_error: float
    cosine: float
    top1: float


def agreement(engine: Engine, reference: Engine, real: np.ndarray) -> Agreement:
    """Of the first outputs, on a batch (n, height, width, channels) of real numbers. Raises ModelError, also where
    either gives numbers that are not finite."""
    found, expected = (_vectors(each, real) for each in (engine, reference))
    for who, vectors in (("it gives", found), ("the reference gives", expected)):
        if not np.isfinite(vectors).all():
            raise ModelError(f"{who} numbers that are not finite")
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    cosines = np.divide((found * expected).sum(axis=1), norms, out=np.ones_like(norms), where=norms > 0)
    largest = float(np.abs(expected).max())
    return Agreement(
        float(np.abs(found - expected).max()) / largest if largest else 0.0,
        float(cosines.min()),
        float((found.argmax(axis=1) == expected.argmax(axis=1)).mean()),
    )


def random_batch(spec: TensorSpec, size: int = 1) -> np.ndarray:
    """Real numbers as normalised photos have them, −1 to 1, the same ones each time; open sizes are 1."""
    shape = (size, *(max(side, 1) for side in spec.shape[1:]))
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.float32) / 127.5 - 1


def _vectors(engine: Engine, real: np.ndarray) -> np.ndarray:
    values = first_output(engine, engine.inputs[0].encode(real))
    return engine.outputs[0].decode(values).reshape(len(real), -1).astype(np.float64)
