"""MobileNetV3, Small and Large: squeeze-and-excitation, hard-swish, a light final block (arXiv:1905.02244).

Tables 1 and 2 of the paper. The minimalistic variants, published with its code, have neither squeeze-and-excitation
nor hard-swish, and 3×3 kernels only.
"""

from lykeion.nets.architecture import Activation, Architecture, Convolution, FullyConnected, InvertedResidual, Row
from lykeion.nets.widths import at_width, multiple_of_8

_Block = tuple[float, int, int, int, bool, Activation]

_SMALL: tuple[_Block, ...] = (
    # expansion (of the channels that come in), channels, kernel, stride, squeeze, activation
    (1, 16, 3, 2, True, "relu"),
    (72 / 16, 24, 3, 2, False, "relu"),
    (88 / 24, 24, 3, 1, False, "relu"),
    (4, 40, 5, 2, True, "hard-swish"),
    (6, 40, 5, 1, True, "hard-swish"),
    (6, 40, 5, 1, True, "hard-swish"),
    (3, 48, 5, 1, True, "hard-swish"),
    (3, 48, 5, 1, True, "hard-swish"),
    (6, 96, 5, 2, True, "hard-swish"),
    (6, 96, 5, 1, True, "hard-swish"),
    (6, 96, 5, 1, True, "hard-swish"),
)
_LARGE: tuple[_Block, ...] = (
    (1, 16, 3, 1, False, "relu"),
    (4, 24, 3, 2, False, "relu"),
    (3, 24, 3, 1, False, "relu"),
    (3, 40, 5, 2, True, "relu"),
    (3, 40, 5, 1, True, "relu"),
    (3, 40, 5, 1, True, "relu"),
    (6, 80, 3, 2, False, "hard-swish"),
    (2.5, 80, 3, 1, False, "hard-swish"),
    (2.3, 80, 3, 1, False, "hard-swish"),
    (2.3, 80, 3, 1, False, "hard-swish"),
    (6, 112, 3, 1, True, "hard-swish"),
    (6, 112, 3, 1, True, "hard-swish"),
    (6, 160, 5, 2, True, "hard-swish"),
    (6, 160, 5, 1, True, "hard-swish"),
    (6, 160, 5, 1, True, "hard-swish"),
)


def mobilenet_v3_small(width: float = 1.0, *, minimalistic: bool = False) -> Architecture:
    """On photos of 224², 1000 classes. Width 1: 2.55 M parameters, 56.5 M multiply-adds; the paper rounds to 56 M."""
    return _mobilenet_v3("mobilenet-v3-small", _SMALL, 1024, width, minimalistic)


def mobilenet_v3_large(width: float = 1.0, *, minimalistic: bool = False) -> Architecture:
    """On photos of 224², 1000 classes. Width 1: 5.51 M parameters, 216.6 M multiply-adds.

    The paper says 219 M but not what it counts. Its table has 216.6 M in convolutions and dense layers, which are
    what is counted here; hard-swish, means and gates take another 2.1 M multiplications.
    """
    return _mobilenet_v3("mobilenet-v3-large", _LARGE, 1280, width, minimalistic)


def _mobilenet_v3(name: str, blocks: tuple[_Block, ...], last: int, width: float, minimalistic: bool) -> Architecture:
    """The stem keeps its 16 channels at any width, and the head its ``last`` up to width 1."""
    name = f"{name}-minimalistic" if minimalistic else name
    final: Activation = "relu" if minimalistic else "hard-swish"
    rows: list[Row] = [Convolution(16, kernel=3, stride=2, activation=final)]
    for expansion, channels, kernel, stride, squeeze, activation in blocks:
        expanded = multiple_of_8(rows[-1].output * expansion)
        rows.append(
            InvertedResidual(
                expanded,
                multiple_of_8(channels * width),
                kernel=3 if minimalistic else kernel,
                stride=stride,
                activation="relu" if minimalistic else activation,
                squeeze=multiple_of_8(expanded / 4) if squeeze and not minimalistic else 0,
            )
        )
    rows.append(Convolution(multiple_of_8(rows[-1].output * 6), kernel=1, activation=final))
    head = FullyConnected(multiple_of_8(last * max(width, 1.0)), final)
    return Architecture(at_width(name, width), 224, 224, tuple(rows), classes=1000, head=(head,))
