"""MobileNetV2: inverted residuals with linear bottlenecks (arXiv:1801.04381, table 2)."""

from lykeion.nets.architecture import Architecture, Convolution, InvertedResidual, Row
from lykeion.nets.widths import at_width, multiple_of_8

_STAGES = (
    # expansion, channels, repeats, first stride
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(width: float = 1.0) -> Architecture:
    """On photos of 224², 1000 classes. Width 1: 3.54 M parameters, 300 M multiply-adds, as in the paper.

    ``width`` multiplies all channels, but those of the last convolution only if it is above 1.
    """
    rows: list[Row] = [Convolution(multiple_of_8(32 * width), kernel=3, stride=2)]
    for expansion, channels, repeats, first_stride in _STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            # Rounded down before it is rounded to a multiple of 8, as in the published weights.
            output = multiple_of_8(int(channels * width))
            rows.append(InvertedResidual(rows[-1].output * expansion, output, kernel=3, stride=stride))
    rows.append(Convolution(multiple_of_8(1280 * max(width, 1.0)), kernel=1))
    return Architecture(at_width("mobilenet-v2", width), 224, 224, tuple(rows), classes=1000)
