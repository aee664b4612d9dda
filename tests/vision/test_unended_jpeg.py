"""JPEGs without their end marker: complete ones are photos, those that lack pixels are not."""

import numpy as np
import pytest
from PIL import Image

from lykeion.vision import Limits, PhotoError, decode

from .making import PHOTOS, encoded, real

KINDS = {
    "baseline": {},
    "optimised": {"optimize": True},
    "progressive": {"progressive": True},
    "with restarts": {"restart_marker_rows": 1},
    "with many restarts": {"restart_marker_blocks": 1},
    "progressive with restarts": {"progressive": True, "restart_marker_rows": 2},
}
PICTURES = {"real": real(), "grey": real().convert("L"), "CMYK": real().convert("CMYK"), "odd": real(117, 93)}
PICTURES["flat"] = Image.new("RGB", (240, 160), (250, 251, 249))


def whole(kind: str, picture: str = "real") -> bytes:
    data = encoded(PICTURES[picture], "JPEG", quality=90, **KINDS[kind])
    assert data.endswith(b"\xff\xd9")
    return data


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_that_lacks_only_its_end_marker_is_the_photo(kind: str, picture: str) -> None:
    data = whole(kind, picture)
    expected = decode(data).rgb
    for end in (b"", b"\xff", b"\0" * 5000, b"\xff" * 5000):
        assert np.array_equal(decode(data[:-2] + end).rgb, expected)
        assert np.array_equal(decode(data[:-2] + end, at_least=5).rgb, decode(data, at_least=5).rgb)


def test_a_cameras_photo_that_lacks_only_its_end_marker_is_the_photo() -> None:
    for path in PHOTOS.glob("*.jpg"):
        data = path.read_bytes()
        assert np.array_equal(decode(data[: data.rindex(b"\xff\xd9")]).rgb, decode(data).rgb)


@pytest.mark.parametrize("end", [b"", b"\xff", b"\0" * 5000, b"\xff" * 5000])
@pytest.mark.parametrize("kind", KINDS)
def test_wherever_a_jpeg_is_cut_it_is_refused_unless_at_most_a_block_differs(kind: str, end: bytes) -> None:
    """Also at a restart or between two scans, and where a download made its file in full size first."""
    data = encoded(real(64, 48), "JPEG", quality=90, **KINDS[kind])
    expected, first = decode(data).rgb, data.index(b"\xff\xda")
    markers = [at for at in range(first + 2, len(data) - 2) if data[at] == 0xFF and data[at + 1]]
    cuts = {*range(first, len(data) - 2, 53), *range(len(data) - 12, len(data) - 2)}
    cuts |= {at + part for at in markers[:: len(markers) // 8 + 1] for part in (0, 1, 2)}
    for cut in sorted(cuts):
        try:
            differs = decode(data[:cut] + end).rgb != expected
        except PhotoError:
            continue
        assert len(data) - cut <= 10
        assert not differs[:-18].any()  # a block, and what smoothing takes of it
        assert not differs[:, :-18].any()


def test_the_refusal_says_what_is_missing() -> None:
    with pytest.raises(PhotoError, match=r"^photo: a damaged JPEG: it ends before its last pixels$"):
        decode(whole("baseline")[:-400])
    progressive = whole("progressive")
    with pytest.raises(PhotoError, match=r"a damaged JPEG: it ends before its last scan"):
        decode(progressive[: progressive.rindex(b"\xff\xda")])


def test_a_jpeg_without_an_end_is_held_twice_and_counted_twice() -> None:
    data = whole("baseline")
    limits = Limits(decoded_pixels=240 * 160 * 3 // 2)
    assert decode(data, limits=limits).width == 240
    with pytest.raises(PhotoError, match="in memory"):
        decode(data[:-2], limits=limits)
