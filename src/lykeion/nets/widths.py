"""The width multiplier: a number by which a network's channels are multiplied."""


def multiple_of_8(channels: float) -> int:
    """The nearest multiple of 8, at least 8 and at least nine tenths of ``channels``; halves round up.

    The rule of the authors' code for MobileNetV2 and V3: rounding must not remove more than a tenth of a layer.
    """
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def at_width(name: str, width: float) -> str:
    """Name of the network at that width: "mobilenet-v2-0.5"."""
    return name if width == 1 else f"{name}-{width:g}"
