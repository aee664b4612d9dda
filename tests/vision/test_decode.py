import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile, ImageOps

from lykeion.vision import Box, BoxError, PhotoError, decode, photo_suffixes
from lykeion.vision.orientation import exif_of

from .making import (
    ENCODINGS,
    PHOTOS,
    REAL,
    card,
    difference,
    encoded,
    png,
    png_chunk,
    real,
)

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What undoes each orientation: applied to an upright picture it gives the stored one."""


def stored(upright: Image.Image, orientation: int) -> Image.Image:
    return upright.transpose(TURNS[orientation]) if orientation in TURNS else upright


# What is decoded


@pytest.mark.parametrize("name", ["chelsea.png", "china.jpg", "flower.jpg"])
def test_a_real_photo_decoded_in_full_is_what_pillow_decodes(name: str) -> None:
    decoded = decode(PHOTOS / name)
    with Image.open(PHOTOS / name) as image:
        assert (decoded.width, decoded.height) == image.size
        assert np.array_equal(decoded.rgb, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("form", ENCODINGS)
def test_every_format_is_read_by_its_content_whatever_the_file_is_called(form: str, tmp_path: Path) -> None:
    image = real()
    path = tmp_path / "photo.txt"
    path.write_bytes(encoded(image, form, quality=95))
    decoded = decode(path)
    assert (decoded.width, decoded.height) == image.size
    assert difference(decoded.rgb, np.asarray(image)) < 6


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_the_photo(form: str) -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "green", "blue")]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:], lossless=True)
    assert np.array_equal(decode(data).rgb, np.asarray(frames[0]))


def test_a_multi_picture_jpeg_is_its_first_picture() -> None:
    data = encoded(real(), "JPEG") + encoded(Image.new("RGB", (8, 8)), "JPEG")
    assert (decode(data).width, decode(data).height) == (240, 160)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode: str) -> None:
    image = Image.new("RGBA", (4, 2), (200, 0, 0, 0))
    image.paste((10, 10, 10, 255), (0, 0, 2, 2))
    rgb = decode(encoded(image.convert(mode))).rgb
    assert (rgb[:, :2] == 10).all()
    assert (rgb[:, 2:] == 255).all()


def test_what_is_half_transparent_is_blended_with_white() -> None:
    rgb = decode(encoded(Image.new("RGBA", (2, 2), (0, 100, 200, 128)))).rgb
    assert difference(rgb, np.full((2, 2, 3), (127, 177, 227), np.uint8)) <= 1


def test_sixteen_bits_a_channel_are_cut_to_eight() -> None:
    grey = np.array([[0, 255, 256, 65535]], ">u2")
    assert decode(png(4, 1, depth=16, colour=0, pixels=b"\0" + grey.tobytes())).rgb[0, :, 0].tolist() == [
        0,
        0,
        1,
        255,
    ]
    colour = np.array([[[0x1234, 0x5678, 0x9ABC]]], ">u2")
    assert decode(png(1, 1, depth=16, pixels=b"\0" + colour.tobytes())).rgb.ravel().tolist() == [0x12, 0x56, 0x9A]


def test_the_transparent_level_of_a_grey_png_is_white() -> None:
    for depth, pixels in ((8, b"\0\x07\x08"), (16, b"\0\0\x07\0\x08")):
        data = png(2, 1, png_chunk(b"tRNS", b"\0\x07"), depth=depth, colour=0, pixels=pixels)
        assert decode(data).rgb[0, 0].tolist() == [255, 255, 255]
        assert decode(data).rgb[0, 1].tolist() != [255, 255, 255]


@pytest.mark.parametrize("mode", ["L", "1", "CMYK"])
def test_grey_bilevel_and_cmyk_become_rgb(mode: str) -> None:
    image = real().convert(mode)
    rgb = decode(encoded(image, "PNG" if mode == "1" else "JPEG", quality=95)).rgb
    assert difference(rgb, np.asarray(image.convert("RGB"))) < 4


# Colour profiles


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_a_real_photo_in_adobe_rgb_becomes_srgb() -> None:
    with Image.open(PHOTOS / "rocket.jpg") as image:
        profile = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        expected = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"))
        assert expected is not None
        decoded = decode(PHOTOS / "rocket.jpg").rgb
        assert difference(decoded, np.asarray(expected)) < 0.5 < 5 < difference(decoded, np.asarray(image))


def test_a_colour_profile_is_applied() -> None:
    profile = bytearray(srgb_profile())  # its red and green exchanged, in the table of tags
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    red, green = profile.index(b"rTRC"), profile.index(b"gTRC")
    data = encoded(Image.new("RGB", (2, 2), (250, 20, 40)), icc_profile=bytes(profile))
    assert difference(decode(data).rgb, np.full((2, 2, 3), (20, 250, 40), np.uint8)) <= 2


def test_an_srgb_profile_leaves_every_pixel_as_it_is() -> None:
    image = real()
    assert np.array_equal(decode(encoded(image, icc_profile=srgb_profile())).rgb, np.asarray(image))


@pytest.mark.parametrize("profile", [b"nonsense", b"\0" * 128, srgb_profile()[:200], b"x" * (5 * 2**20)])
def test_a_profile_that_cannot_be_used_is_ignored(profile: bytes) -> None:
    image = real()
    data = encoded(image, "WEBP", lossless=True, icc_profile=profile)
    assert np.array_equal(decode(data).rgb, np.asarray(image))


def test_a_profile_for_other_channels_is_ignored() -> None:
    image = real().convert("L")
    data = encoded(image, icc_profile=srgb_profile())
    assert np.array_equal(decode(data).rgb, np.asarray(image.convert("RGB")))


# Orientation and boxes


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_a_photo_is_turned_as_exif_says(form: str, orientation: int) -> None:
    image = real()
    options = {"lossless": True} if form == "WEBP" else {"quality": 95}
    data = encoded(stored(image, orientation), form, exif=exif_of(orientation), **options)
    decoded = decode(data)
    assert (decoded.width, decoded.height) == image.size
    assert difference(decoded.rgb, np.asarray(image)) < 4


def test_exif_after_the_pixels_of_a_png_counts() -> None:
    plain = encoded(real())
    at = plain.index(b"IEND") - 4
    data = plain[:at] + png_chunk(b"eXIf", exif_of(6)[6:]) + plain[at:]
    assert (decode(data).width, decode(data).height) == (160, 240)


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"II*\0" + b"\xff" * 40, exif_of(0), exif_of(9)])
def test_exif_that_makes_no_sense_is_ignored(exif: bytes) -> None:
    image = real()
    assert np.array_equal(decode(encoded(image, "WEBP", lossless=True, exif=exif)).rgb, np.asarray(image))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_is_in_the_photo_as_people_see_it(orientation: int) -> None:
    image = real()
    data = encoded(stored(image, orientation), exif=exif_of(orientation))
    decoded = decode(data, box=Box(20, 30, 120, 90))
    assert (decoded.width, decoded.height) == image.size
    assert np.array_equal(decoded.rgb, np.asarray(image.crop((20, 30, 120, 90))))


def test_a_box_that_reaches_outside_is_cut_to_the_photo() -> None:
    image = real()
    decoded = decode(encoded(image), box=Box(-50, 100, 60, 999))
    assert np.array_equal(decoded.rgb, np.asarray(image.crop((0, 100, 60, 160))))


def test_a_box_outside_the_photo_is_an_error_that_names_the_photo() -> None:
    with pytest.raises(PhotoError, match=r"cat: .*outside.*240×160"):
        decode(encoded(real()), name="cat", box=Box(240, 0, 300, 50))


def test_a_box_is_read_from_four_numbers() -> None:
    assert Box.parse(" 10,20, 200,240") == Box(10, 20, 200, 240)
    for text in ("", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1.5,2,3,4", "10,20,10,40", "0,9,5,3", "9" * 5000):
        with pytest.raises(BoxError):
            Box.parse(text)


# Scaled decoding


def test_scaled_decoding_keeps_more_than_three_times_what_is_asked_for() -> None:
    data = encoded(real(2000, 1500), "JPEG")
    assert decode(data, at_least=223).rgb.shape == (750, 1000, 3)
    assert decode(data, at_least=224).rgb.shape == (1500, 2000, 3)
    assert decode(data, at_least=1).rgb.shape == (188, 250, 3)
    assert (decode(data, at_least=1).width, decode(data, at_least=1).height) == (2000, 1500)


def test_a_small_box_in_a_large_photo_is_not_scaled_down() -> None:
    data = encoded(real(2000, 1500), "JPEG")
    assert decode(data, at_least=224, box=Box(100, 100, 700, 700)).rgb.shape == (600, 600, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_scaled_decoding_sees_the_same_part_whichever_way_the_photo_lies(orientation: int) -> None:
    upright = real(1003, 1507)  # no multiple of 8, so the scaled sides are rounded
    data = encoded(stored(upright, orientation), "JPEG", quality=95, exif=exif_of(orientation))
    for box in (None, Box(101, 203, 950, 1507), Box(0, 0, 1003, 700)):
        full, scaled = decode(data, box=box), decode(data, at_least=25, box=box)
        assert scaled.rgb.size < full.rgb.size / 15
        small = card(height=24, width=24)
        assert difference(full.pixels(small), scaled.pixels(small)) < 1


def test_a_large_photo_in_another_format_is_reduced_as_well() -> None:
    image = Image.new("RGB", (6000, 4100), (30, 60, 90))
    decoded = decode(encoded(image, compress_level=1), at_least=300)
    assert (decoded.width, decoded.height) == image.size
    assert decoded.rgb.shape == (2050, 3000, 3)
    assert (decoded.rgb == (30, 60, 90)).all()


# Thumbnails, threads, and the program around us


def test_a_thumbnail_is_a_small_jpeg_of_the_same_photo() -> None:
    with Image.open(BytesIO(decode(PHOTOS / "china.jpg").thumbnail(192))) as image:
        assert image.format == "JPEG"
        assert image.size == (214, 143)  # a third of the photo, rounded up
        whole = ImageOps.fit(Image.open(PHOTOS / "china.jpg").convert("RGB"), image.size)
        assert difference(np.asarray(image), np.asarray(whole)) < 10


@pytest.mark.parametrize("longer", [192, 193, 256, 257, 383, 384, 640, 1000, 2999])
def test_a_thumbnails_longer_side_is_what_was_asked_or_up_to_a_third_more(longer: int) -> None:
    with Image.open(BytesIO(decode(encoded(real(longer, longer // 2), compress_level=1)).thumbnail(192))) as image:
        assert 192 <= image.width <= 256
        assert abs(image.height - image.width / 2) <= 1


def test_a_thumbnail_is_never_larger_than_the_photo() -> None:
    with Image.open(BytesIO(decode(encoded(real(60, 40))).thumbnail(192))) as image:
        assert image.size == (60, 40)


@pytest.mark.parametrize(
    ("size", "changes", "shared"),
    [
        ((640, 640), {}, True),
        ((224, 224), {}, True),
        ((640, 427), {}, False),
        ((100, 100), {}, False),
        ((640, 640), {"crop_fraction": 0.875}, False),
        ((640, 320), {"crop": "stretch"}, False),
        ((640, 640), {"channels": "BGR"}, False),
        ((640, 640), {"width": 64, "height": 64}, False),
        ((640, 320), {"crop": "letterbox"}, False),
    ],
)
def test_a_thumbnail_made_with_the_pixels_changes_none_of_them(
    size: tuple[int, int], changes: dict[str, object], shared: bool
) -> None:
    decoded, own = decode(encoded(real(*size), compress_level=1)), card(**changes)
    pixels, thumbnail = decoded.pixels_and_thumbnail(own, 192)
    np.testing.assert_array_equal(pixels, decoded.pixels(own))
    if not shared:
        assert thumbnail == decoded.thumbnail(192)
        return
    with Image.open(BytesIO(thumbnail)) as image:
        assert image.size == (224, 224)
        assert difference(np.asarray(image), pixels) < 5


def test_what_a_photo_says_beside_its_pixels_stays_out_of_its_thumbnail() -> None:
    for form in ("JPEG", "GIF", "WEBP"):
        data = encoded(real(), form, comment=b"Hiroshi's flat" * 400, exif=b"Exif\0\0II*\0at home")
        thumbnail = decode(data).thumbnail()
        assert b"Hiroshi" not in thumbnail
        assert b"at home" not in thumbnail


def test_the_thinnest_photo_has_pixels_and_a_thumbnail() -> None:
    for size in ((1, 1), (1, 3000), (3000, 1)):
        decoded = decode(encoded(Image.new("RGB", size, "white"), "JPEG"), at_least=224)
        for crop in ("centre", "letterbox", "stretch"):
            assert decoded.pixels(card(crop=crop)).shape == (224, 224, 3)
        assert decoded.thumbnail()


def test_threads_decode_at_once_and_alike() -> None:
    sources = [*REAL, encoded(real(), icc_profile=srgb_profile()), encoded(real(), "WEBP")] * 8
    expected = [decode(source, at_least=50).rgb for source in sources]
    with ThreadPoolExecutor(8) as pool:
        for one, other in zip(
            expected, pool.map(lambda source: decode(source, at_least=50).rgb, sources), strict=True
        ):
            assert np.array_equal(one, other)


def test_pillows_settings_neither_matter_nor_change(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [encoded(real(), form) for form in ("JPEG", "PNG", "GIF", "AVIF")]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)  # a third of what they have, which Pillow refuses
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for source in sources:
            decoded = decode(source, box=Box(1, 1, 230, 150))
            assert decoded.rgb.shape == decoded.pixels(card(height=149, width=229)).shape
            assert decoded.thumbnail()
    assert Image.MAX_IMAGE_PIXELS == 10_000
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_photo_is_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "half.jpg"
    shutil.copy(PHOTOS / "china.jpg", path)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(PhotoError, match=r"half\.jpg: a damaged JPEG: it ends before its last pixels"):
        decode(path)
    with pytest.raises(PhotoError, match=r"^A17: "):
        decode(path, name="A17")


def test_heic_is_a_photo_only_where_its_decoder_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert ".heic" not in photo_suffixes()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert {".jpg", ".heic", ".heif"} <= photo_suffixes()
