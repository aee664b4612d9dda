"""One platform's image after the build: the source of bill of materials and provenance."""

from dataclasses import dataclass

from lykeion.images.layers.image_layer import ImageLayer
from lykeion.oci import Descriptor, Platform

from .base import Base
from .python_layers import PythonLayers


@dataclass(frozen=True)
class PlatformImage:
    """The image for one platform: its parts and its manifest."""

    platform: Platform
    base: Base
    python: PythonLayers
    own: tuple[ImageLayer, ...]
    manifest: Descriptor

    @property
    def layers(self) -> tuple[ImageLayer, ...]:
        return (*self.base.layers, *self.python.layers, *self.own)
