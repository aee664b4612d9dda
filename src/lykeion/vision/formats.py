"""Which decoder reads these bytes. The content decides, never the file's name; decoders are called directly, so that
no other part of Pillow sees the bytes and its global settings do not matter."""

import importlib.util
from io import BytesIO
from typing import TYPE_CHECKING

from .errors import UnusablePhoto

if TYPE_CHECKING:
    from PIL.Image import Image

READABLE = "JPEG, PNG, WebP, GIF, AVIF or HEIC"
_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".avif"})
_HEIC_SUFFIXES = frozenset({".heic", ".heif"})
_OF_SYSTEMS = frozenset({"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found"})
"""Folders of macOS' archives, Synology's thumbnails, and what file systems keep; in lower case."""


def photo_suffixes() -> frozenset[str]:
    """Suffixes, in lower case, of files that this installation reads as photos."""
    return _SUFFIXES | _HEIC_SUFFIXES if importlib.util.find_spec("pillow_heif") else _SUFFIXES


def of_the_system(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or a system's own: what is in it are not a person's photos."""
    return name.startswith(".") or name.lower() in _OF_SYSTEMS


def looks_like_photo(head: bytes) -> bool:
    """Whether a file's first 16 bytes are a photo's, even of an unsupported format: it is then reported, not
    ignored."""
    try:
        return bool(sniff(head))
    except UnusablePhoto:
        return head.startswith((b"BM", b"II*\0", b"MM\0*"))


def sniff(data: bytes) -> str:
    """The format of these bytes. Raises UnusablePhoto if it is not supported."""
    if data[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data[4:8] == b"ftyp" and (found := _by_brands(data)):
        return found
    raise UnusablePhoto(f"not a photo in {READABLE} (it starts with {data[:8].hex(' ')})")


def open_photo(data: bytes, form: str) -> "Image":
    """Read the header of a photo in format ``form``; pixels are decoded later. Raises whatever the decoder does."""
    file = BytesIO(data)
    match form:
        case "JPEG":  # also for MPO, several JPEGs in one file: the first is the photo
            from PIL.JpegImagePlugin import JpegImageFile

            return JpegImageFile(file)
        case "PNG":
            from PIL.PngImagePlugin import PngImageFile

            return PngImageFile(file)
        case "WebP":
            from PIL.WebPImagePlugin import WebPImageFile

            return WebPImageFile(file)
        case "GIF":
            from PIL.GifImagePlugin import GifImageFile

            return GifImageFile(file)
        case "AVIF":
            return _open_avif(file)
        case _:
            return _open_heic(file)


def _by_brands(data: bytes) -> str | None:
    """AVIF or HEIC by the brands of an ISO base media file (ISO/IEC 14496-12, 4.3)."""
    length = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, length - 3, 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
        return "HEIC"
    return None


def _open_avif(file: BytesIO) -> "Image":
    from PIL import features

    if not features.check("avif"):
        raise UnusablePhoto("this build of Pillow reads no AVIF; install Pillow's own wheel")
    from .avif import AvifPhoto

    return AvifPhoto(file)


def _open_heic(file: BytesIO) -> "Image":
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise UnusablePhoto("HEIC photos need another package: pip install 'lykeion[heif]'") from None
    return HeifImageFile(file)
