"""Networks as plain data: architectures, their counts, and LiteRT files written directly from them.

What needs Keras is imported when it is first used.
"""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
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
    from .counts import Counts, count
    from .families.efficientnet_lite import efficientnet_lite0
    from .families.mobilenet_v1 import mobilenet_v1
    from .families.mobilenet_v2 import mobilenet_v2
    from .families.mobilenet_v3 import mobilenet_v3_large, mobilenet_v3_small
    from .installed import DEFAULT_MODEL, built_directory, default_model, installed_models
    from .keras.keras_applications import weights_from_applications
    from .keras.keras_import import KerasImportError, import_keras
    from .keras.keras_model import build_keras, keras_weights, load_keras_weights
    from .keras.photo_scaling import photo_scaling
    from .litert_int8 import TO_255, KernelCodes, quantized_tensors, write_int8
    from .litert_writer import write_block, write_litert
    from .named_networks import NETWORKS, KnownNetwork, find, known_networks, write_architecture
    from .published_weights import WeightsError
    from .summary import ArchitecturePart, draw_architecture, format_shape, parts_by_layer, parts_by_row
    from .unrolling import EMBEDDING, INPUT, LOGITS, Layer, layers, row_layers
    from .weights import Weights, random_weights
    from .widths import multiple_of_8

__all__ = [
    "DEFAULT_MODEL", "EMBEDDING", "INPUT", "LOGITS", "NETWORKS", "TO_255", "Activation", "Architecture",
    "ArchitectureError", "ArchitecturePart", "Convolution", "Counts", "DepthwiseSeparable", "FullyConnected",
    "InvertedResidual", "KerasImportError", "KernelCodes", "KnownNetwork", "Layer", "Row", "Weights",
    "WeightsError", "build_keras", "built_directory", "count", "default_model", "draw_architecture",
    "efficientnet_lite0", "find", "format_shape", "import_keras", "installed_models", "keras_weights",
    "known_networks", "layers", "load_keras_weights", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large",
    "mobilenet_v3_small", "multiple_of_8", "parts_by_layer", "parts_by_row", "photo_scaling", "quantized_tensors",
    "random_weights", "row_layers", "weights_from_applications", "write_architecture", "write_block", "write_int8",
    "write_litert",
]  # fmt: skip
__getattr__ = lazy(__name__)
