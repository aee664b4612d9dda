"""AVIF by Pillow's decoder, without Pillow's EXIF parser, which a small file can make allocate gigabytes."""

from io import BytesIO
from typing import Any

from PIL import ImageFile
from PIL import _avif as codec  # pyright: ignore[reportAttributeAccessIssue]

from lykeion.core import core_count

from .orientation import exif_of


class AvifPhoto(ImageFile.ImageFile):
    """The first frame. ``info`` has the colour profile and, as EXIF, the container's orientation."""

    format = "AVIF"
    _decoder: Any = None

    def _open(self) -> None:
        assert self.fp is not None
        self._decoder = codec.AvifDecoder(self.fp.read(), "auto", core_count())
        self._size, _, self._mode, profile, _, orientation, _ = self._decoder.get_info()
        self.info = {"icc_profile": profile, "exif": exif_of(orientation)}

    def load(self) -> Any:
        if self._decoder is not None:
            pixels, self._decoder = self._decoder.get_frame(0)[0], None
            self.fp = BytesIO(pixels)
            self.tile = [ImageFile._Tile("raw", (0, 0, *self.size), 0, self.mode)]
        return super().load()
