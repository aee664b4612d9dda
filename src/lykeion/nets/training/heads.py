"""Heads that train an embedding for distances: one proxy per class, and losses of the cosines to them. Imports Keras.

Both losses pull an embedding towards the direction of its class's proxy and away from the others. ArcFace adds an
angular margin to each photo; proxy-anchor weights each proxy's photos by their hardness within the batch.
"""

import math
from collections.abc import Callable
from typing import Any

from lykeion.nets.quiet_keras import keras

ops: Any = keras.ops

ARCFACE_SCALE, ARCFACE_MARGIN = 30.0, 0.3
"""Milder than the paper's 64 and .5, which were chosen for 85,000 classes of faces."""
ANCHOR_SCALE, ANCHOR_MARGIN = 32.0, 0.1
"""The paper's."""


@keras.saving.register_keras_serializable("lykeion")
class Cosines(keras.layers.Layer):
    """From embeddings (n, dimension) to cosines to one proxy per class, (n, prefixes + 1, classes).

    The last are of the whole embedding, the others of its prefixes, which so learn to work alone (Matryoshka,
    arXiv:2205.13147, with shared weights).
    """

    def __init__(self, classes: int, prefixes: tuple[int, ...] = (), seed: int = 0, **settings: Any) -> None:
        super().__init__(dtype="float32", **settings)
        self.classes, self.prefixes, self.seed = classes, tuple(prefixes), seed

    def build(self, input_shape: tuple[int, ...]) -> None:
        normal = keras.initializers.RandomNormal(stddev=input_shape[-1] ** -0.5, seed=self.seed)
        self.proxies = self.add_weight(shape=(self.classes, input_shape[-1]), initializer=normal, name="proxies")

    def call(self, embeddings: Any) -> Any:
        lengths = (*self.prefixes, embeddings.shape[-1])
        return ops.stack([_cosines(embeddings[:, :n], self.proxies[:, :n]) for n in lengths], axis=1)


def arcface(targets: Any, cosines: Any) -> Any:
    """Cross-entropy after a margin is added to the angle to the right proxy (arXiv:1801.07698)."""
    targets = targets[:, None, :]
    inside = ops.clip(cosines, -1 + 1e-6, 1 - 1e-6)
    harder = inside * math.cos(ARCFACE_MARGIN) - ops.sqrt(1 - inside**2) * math.sin(ARCFACE_MARGIN)
    # Beyond π − margin the cosine would rise again; a straight line continues to fall.
    harder = ops.where(inside > -math.cos(ARCFACE_MARGIN), harder, inside - ARCFACE_MARGIN * math.sin(ARCFACE_MARGIN))
    logits = ARCFACE_SCALE * ops.where(targets > 0, harder, cosines)
    return ops.mean(keras.losses.categorical_crossentropy(targets + 0 * logits, logits, from_logits=True), axis=1)


def proxy_anchor(targets: Any, cosines: Any) -> Any:
    """Of a batch, a scalar (arXiv:2003.13991, equation 4)."""
    own = targets[:, None, :] > 0
    pull = _softplus_sum(own, -ANCHOR_SCALE * (cosines - ANCHOR_MARGIN))
    push = _softplus_sum(~own, ANCHOR_SCALE * (cosines + ANCHOR_MARGIN))
    seen = ops.maximum(ops.sum(ops.cast(ops.any(own, axis=0), cosines.dtype)), 1.0)
    prefixes = cosines.shape[1]
    return ops.sum(pull) / (seen * prefixes) + ops.mean(push)


def nearest_proxy_accuracy(targets: Any, cosines: Any) -> Any:
    """Whether the nearest proxy to the whole embedding is the right one, (n,)."""
    return keras.metrics.categorical_accuracy(targets, cosines[:, -1])


LOSSES: dict[str, Callable[[Any, Any], Any]] = {"arcface": arcface, "proxy-anchor": proxy_anchor}


def _cosines(embeddings: Any, proxies: Any) -> Any:
    return ops.matmul(_unit(embeddings), ops.transpose(_unit(proxies)))


def _unit(vectors: Any) -> Any:
    return vectors * ops.rsqrt(ops.maximum(ops.sum(vectors**2, axis=1, keepdims=True), 1e-12))


def _softplus_sum(chosen: Any, values: Any) -> Any:
    """log(1 + Σ exp(value)) over the chosen photos, for each prefix and proxy; 0 where none is chosen."""
    values = ops.where(chosen, values, -1e9)
    return ops.logsumexp(ops.concatenate([ops.zeros_like(values[:1]), values]), axis=0)
