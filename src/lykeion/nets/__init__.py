"""Networks as plain data: architectures, their counts, and LiteRT files written straight from them."""

from typing import TYPE_CHECKING, Any

from .architecture import (
    Activation,
    Architecture,
    ArchitectureError,
    Convolution,
    DepthwiseSeparable,
    FullyConnected,
    InvertedResidual,
    Row,
)
from .catalogue import find
from .counts import Counts, count
from .efficientnet_lite import efficientnet_lite0
from .layers import Layer, layers
from .mobilenet_v1 import mobilenet_v1
from .mobilenet_v2 import mobilenet_v2
from .mobilenet_v3 import mobilenet_v3_large, mobilenet_v3_small
from .torch_weights import WeightsError
from .weights import Weights, random_weights

if TYPE_CHECKING:
    from .litert_writer import write_block, write_litert

__all__ = [
    "Activation",
    "Architecture",
    "ArchitectureError",
    "Convolution",
    "Counts",
    "DepthwiseSeparable",
    "FullyConnected",
    "InvertedResidual",
    "Layer",
    "Row",
    "Weights",
    "WeightsError",
    "count",
    "efficientnet_lite0",
    "find",
    "layers",
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "random_weights",
    "write_block",
    "write_litert",
]


def __getattr__(name: str) -> Any:
    # The writer needs ai-edge-litert's schema, which a count or a list can do without.
    if name in ("write_block", "write_litert"):
        from . import litert_writer

        return getattr(litert_writer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
