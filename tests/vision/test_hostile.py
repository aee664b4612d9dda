"""Bytes nobody has vouched for: a picture or a PhotoError, quickly and in bounded memory."""

import os
import pickle
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from lykeion.vision import DEFAULT, Limits, PhotoError, decode, jpeg, structure
from lykeion.vision.orientation import exif_of

from .making import ENCODINGS, PHOTOS, encoded, png, png_chunk, real

SMALL = {form: encoded(real(48, 40), form, exif=exif_of(6)) for form in ENCODINGS}
SMALL["progressive JPEG"] = encoded(real(48, 40), "JPEG", progressive=True)
SMALL["CMYK JPEG"] = encoded(real(48, 40).convert("CMYK"), "JPEG")
SMALL["JPEG with profile"] = (PHOTOS / "rocket.jpg").read_bytes()
SMALL["palette PNG"] = encoded(real(48, 40).quantize(16))
SMALL["16-bit PNG"] = png(3, 2, depth=16, pixels=(b"\0" + bytes(range(18))) * 2)


def refusal(source: bytes | Path, limits: Limits = DEFAULT) -> str:
    with pytest.raises(PhotoError) as caught:
        decode(source, name="photo", at_least=224, limits=limits)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("photo: ")
    return caught.value.cause


# Not a photo


def test_no_bytes_are_an_error() -> None:
    assert refusal(b"") == "empty: zero bytes"


def test_what_is_no_file_is_an_error(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "not a file"
    assert refusal(tmp_path / "none.jpg") == "No such file or directory"
    assert "name too long" in refusal(tmp_path / ("x" * 5000))
    assert "null" in refusal(Path("a\0b"))
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == "not a file"


@pytest.mark.parametrize("data", [b"\0", b"hello, world", b"%PDF-1.7\n", b"<svg/>", b"BM" + b"\0" * 60, b"II*\0" * 9])
def test_what_is_no_photo_is_an_error_that_lists_the_formats(data: bytes) -> None:
    assert "not a photo in JPEG, PNG, WebP, GIF, AVIF or HEIC" in refusal(data)


def test_an_unknown_iso_media_file_is_no_photo() -> None:
    assert "not a photo" in refusal(struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"mp42"))


def test_a_hostile_name_stays_on_one_line_and_short() -> None:
    with pytest.raises(PhotoError) as caught:
        decode(b"", name="a\n\x1b[31mb" + "c" * 10_000)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_the_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(PhotoError("a.jpg", "empty")))
    assert (error.name, error.cause, str(error)) == ("a.jpg", "empty", "a.jpg: empty")


# Cut and flipped


@pytest.mark.parametrize("form", ["JPEG", "progressive JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF"])
def test_a_photo_cut_in_half_is_an_error(form: str) -> None:
    assert refusal(SMALL[form][: len(SMALL[form]) // 2])


@pytest.mark.slow
@settings(max_examples=400)
@given(st.data())
def test_any_damage_gives_a_picture_or_a_photo_error(data: st.DataObject) -> None:
    photo = bytearray(SMALL[data.draw(st.sampled_from(sorted(SMALL)))])
    header = st.integers(0, min(len(photo), 400) - 1)
    for place in data.draw(st.lists(header | st.integers(0, len(photo) - 1), max_size=8)):
        photo[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del photo[data.draw(st.integers(0, len(photo))) :]
    limits = Limits(decoded_pixels=10**6)  # flipped sizes may be large; no need to fill memory with them here
    try:
        decoded = decode(bytes(photo), at_least=data.draw(st.sampled_from([None, 3])), limits=limits)
    except PhotoError:
        return
    assert decoded.rgb.dtype == np.uint8
    assert decoded.rgb.ndim == 3
    assert decoded.thumbnail()


# Bombs


def jpeg_header(width: int, height: int, marker: int, components: int = 3, in_scan: int = 3) -> bytes:
    """As far as its first scan."""
    frame = struct.pack(">BHHB", 8, height, width, components) + b"\x01\x11\0" * components
    scan = bytes([in_scan]) + b"\x01\0" * in_scan + b"\0\x3f\0"
    return (
        b"\xff\xd8"
        + (b"\xff" + bytes([marker]) + struct.pack(">H", len(frame) + 2) + frame)
        + (b"\xff\xda" + struct.pack(">H", len(scan) + 2) + scan)
    )


def test_a_photo_of_too_many_bytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "sparse.jpg"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert "1,099,511,627,776 bytes" in refusal(path)
    assert "10 are allowed" in refusal(b"\xff\xd8\xff" + b"x" * 8, limits=Limits(file_bytes=10))


def test_a_bomb_is_refused_by_its_header_in_every_format() -> None:
    assert "megapixels" in refusal(png(30_000, 30_000))
    assert "20000×20000" in refusal(png(20_000, 20_000))
    assert "a side may have" in refusal(png(100_000, 10))
    assert "×" in refusal(
        b"GIF89a" + struct.pack("<HHBBB", 60_000, 60_000, 0, 0, 0) + b",\0\0\0\0\1\0\1\0\0\2\2\x4c\1\0;"
    )
    webp = bytearray(encoded(real(48, 40), "WEBP", exif=exif_of(1)))  # which makes it extended
    webp[24:30] = b"\xfe\x3f\0\xfe\x3f\0"
    assert refusal(bytes(webp))
    assert "source" not in refusal(jpeg_header(60_000, 60_000, 0xC0))


def test_a_jpeg_that_must_be_held_whole_is_bounded_as_such() -> None:
    """A progressive one, and one whose colours come in scans of their own: decoders keep all coefficients."""
    for header in (jpeg_header(15_000, 15_000, 0xC2), jpeg_header(15_000, 15_000, 0xC0, in_scan=1)):
        assert "in memory at once" in refusal(header)


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    scan = b"\xff\xda\0\x0c\3\1\0\1\0\1\0\0\x3f\0"
    assert "scans" in refusal(jpeg_header(4_000, 4_000, 0xC2) + scan * 1_000)


def test_a_file_of_endless_segments_is_refused() -> None:
    assert "segments" in refusal(b"\xff\xd8" + b"\xff\xfe\0\2" * (jpeg.MAX_SEGMENTS + 1))
    assert "before its pixels" in refusal(b"\xff\xd8\xff" + b"\xff" * 10**6)
    assert "before its pixels" in refusal(b"\xff\xd8\xff\xe0\0\2" + b"\0" * 10**6)
    assert "chunks" in refusal(png(1, 1, png_chunk(b"vpAg") * structure.MAX_CHUNKS))
    screen = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0)
    assert "blocks" in refusal(screen + b"!\xfe" + b"\1x" * 10**6)
    assert "blocks" in refusal(screen + b"!\xfe\0" * 10**6)


def test_a_png_of_endless_text_is_refused() -> None:
    bomb = b"a\0\0" + zlib.compress(b"\0" * (1 << 26), 9)
    assert "cannot be decoded as PNG" in refusal(png(1, 1, png_chunk(b"zTXt", bomb), pixels=b"\0\1\2\3"))


def test_a_png_whose_profile_is_a_bomb_is_refused() -> None:
    bomb = b"a\0\0" + zlib.compress(b"\0" * (1 << 26), 9)
    assert "cannot be decoded as PNG" in refusal(png(1, 1, png_chunk(b"iCCP", bomb), pixels=b"\0\1\2\3"))


@pytest.mark.parametrize("key", ["exif", "icc_profile", "transparency", "dpi"])
def test_text_that_looks_like_pillows_own_notes_does_no_harm(key: str) -> None:
    """Some versions of Pillow take the text for their own note and fail on it."""
    text, photo = PngImagePlugin.PngInfo(), real(8, 8)
    text.add_text(key, "x")
    data = encoded(photo, pnginfo=text)
    try:
        found = decode(data)
    except PhotoError:
        assert refusal(data).startswith("cannot be decoded as PNG (")
    else:
        np.testing.assert_array_equal(found.rgb, photo)


# Memory


def exif_bomb() -> bytes:
    """A table of 5,000 entries, each of which claims all of the block's 64 KiB for its own."""
    entries = b"".join(struct.pack("<HHII", 1000 + tag, 7, 60_000, 8) for tag in range(5_000))
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 5_000) + entries + b"\0" * 4


PEAK = """
import resource, sys
from pathlib import Path
from lykeion.vision import PhotoError, decode
decode(Path(sys.argv[1]), at_least=224).thumbnail()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[2:]:
    try:
        decoded = decode(Path(path), at_least=224)
        decoded.thumbnail()
        print(decoded.width, decoded.height, end=" ")
    except PhotoError as error:
        print("refused", end=" ")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def peak(*photos: Path) -> tuple[list[str], int]:
    """What became of each, and by how many MiB memory grew at most."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(PHOTOS / "rocket.jpg"), *map(str, photos)], capture_output=True, check=True
    )
    *outcomes, grown = done.stdout.decode().split()
    return outcomes, int(grown) // (1024 if sys.platform == "darwin" else 1)


@pytest.mark.slow
def test_a_photo_of_a_hundred_megapixels_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    path.write_bytes(encoded(Image.new("RGB", (12_000, 8_400), (90, 120, 30)), "JPEG"))
    outcomes, grown = peak(path)
    assert outcomes == ["12000", "8400"]
    assert grown < 40


@pytest.mark.slow
def test_what_is_refused_takes_no_memory(tmp_path: Path) -> None:
    bombs = [png(20_000, 20_000), png(1, 1, png_chunk(b"iCCP", b"a\0\0" + zlib.compress(b"\0" * (1 << 28), 1)))]
    bombs += [jpeg_header(15_000, 15_000, 0xC2), b"\xff\xd8" + b"\xff\xfe\0\2" * 10**6]
    for place, bomb in enumerate(bombs):
        (tmp_path / str(place)).write_bytes(bomb)
    outcomes, grown = peak(*sorted(tmp_path.iterdir()))
    assert outcomes == ["refused"] * 4
    assert grown < 40


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # by Pillow as it writes the AVIF
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_exif_tables_take_no_memory(form: str, tmp_path: Path) -> None:
    """Read with all their values, as Pillow reads them, these would take 300 MB."""
    path = tmp_path / "photo"
    path.write_bytes(b"".join(with_exif(form, exif_bomb())))
    outcomes, grown = peak(path)
    assert outcomes == ["240", "160"]
    assert grown < 40


def with_exif(form: str, exif: bytes) -> tuple[bytes, ...]:
    """A photo whose EXIF Pillow does not see when it writes."""
    marker = b"Exif\0\0II*\0" + b"x" * (len(exif) - 10)
    image = Image.new("RGB", (240, 160), "red")
    if form == "PNG":
        plain = encoded(image)
        return plain[:33], png_chunk(b"eXIf", exif[6:]), plain[33:]
    if form == "JPEG":
        plain = encoded(image, "JPEG")[2:]
        return b"\xff\xd8", b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif, plain[18:]  # no JFIF: no density
    content = encoded(image, form, exif=marker)
    assert marker[6:] in content
    return (content.replace(marker[6:], exif[6:]),)


@pytest.mark.slow
def test_a_large_png_takes_what_the_limits_say(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(encoded(Image.new("RGBA", (8_000, 5_000), (9, 9, 9, 99)), compress_level=1))
    outcomes, grown = peak(path)
    assert outcomes == ["8000", "5000"]
    assert grown < 40 * 16
