"""Networks as plain data: architectures, their counts, and LiteRT files written straight from them."""

from .architecture import Activation, Architecture, ArchitectureError, Convolution, InvertedResidual, Row
from .counts import Counts, count
from .efficientnet_lite import efficientnet_lite0

__all__ = [
    "Activation",
    "Architecture",
    "ArchitectureError",
    "Convolution",
    "Counts",
    "InvertedResidual",
    "Row",
    "count",
    "efficientnet_lite0",
]
