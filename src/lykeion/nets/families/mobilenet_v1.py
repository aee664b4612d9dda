"""MobileNetV1: depthwise separable convolutions (arXiv:1704.04861, table 1)."""

from lykeion.nets.architecture import Architecture, Convolution, DepthwiseSeparable
from lykeion.nets.widths import at_width

_ROWS = (
    # channels, stride
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)


def mobilenet_v1(width: float = 1.0) -> Architecture:
    """On photos of 224², 1000 classes. Width 1: 4.25 M parameters, 569 M multiply-adds, as in the paper.

    ``width`` multiplies all channels; the result is rounded down. Maps are padded as in keras.applications.
    """
    stem = Convolution(int(32 * width), kernel=3, stride=2)
    rows = [
        DepthwiseSeparable(int(channels * width), kernel=3, stride=stride, padding="after" if stride == 2 else "same")
        for channels, stride in _ROWS
    ]
    return Architecture(at_width("mobilenet-v1", width), 224, 224, (stem, *rows), classes=1000)
