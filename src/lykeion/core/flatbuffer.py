"""Flatbuffers as LiteRT wants them."""
# pyright: standard
# The library has no types.

from typing import Any

import flatbuffers


class AlignedBuilder(flatbuffers.Builder):
    """Starts every vector on 16 bytes, as LiteRT's schema demands of buffers and its generated code forgets."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:
        return super().StartVector(elemSize, numElems, max(alignment, 16))
