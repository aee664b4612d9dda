"""Request bodies that come compressed: gzip, or deflate, which is zlib's format (RFC 9110, 8.4.1)."""

import zlib

from starlette.exceptions import HTTPException

_WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


def decompressed(body: bytes, encoding: str, limit: int) -> bytes:
    """The body as it was. Raises HTTPException: 413 if it is larger than ``limit`` bytes, which are never exceeded in
    memory; 415 for another encoding; 400 for damaged data."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in _WINDOW_BITS:
        raise HTTPException(415, f"Content-Encoding {encoding[:32]!r}; send gzip, deflate or none")
    stream = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        found = stream.decompress(body, limit)
        if not stream.eof and stream.decompress(stream.unconsumed_tail, 1):
            raise HTTPException(413, f"the decompressed body is larger than {limit:,} bytes")
    except zlib.error as error:
        raise HTTPException(400, f"the body is not {encoding}: {error}") from None
    if not stream.eof or stream.unused_data:
        raise HTTPException(400, f"the body is not one whole {encoding} stream")
    return found
