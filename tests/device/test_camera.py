"""Newest frame wins: a slow look never makes a queue, and a video is a camera."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lykeion.device.camera.newest_frame import NewestFrame, newest_frames
from lykeion.device.camera.video_frames import VideoError, rgb_of, video_frames
from lykeion.vision import PhotoError

from .networks import PHOTOS


def frame(value: int, width: int = 4, height: int = 2) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_while_one_frame_is_looked_at_only_the_newest_of_those_that_arrive_stays() -> None:
    looked, arrived = threading.Event(), threading.Event()

    def camera() -> Iterator[np.ndarray]:
        yield frame(0)
        looked.wait(60)
        for value in range(1, 100):
            yield frame(value)
        arrived.set()

    seen = []
    for each in newest_frames(camera()):
        seen.append((each.number, int(each.rgb[0, 0, 0])))
        looked.set()
        arrived.wait(60)
    assert seen == [(0, 0), (99, 99)]


def test_a_camera_whose_frames_nobody_wants_any_more_is_ended() -> None:
    ended = threading.Event()

    def camera() -> Iterator[np.ndarray]:
        try:
            while True:
                yield frame(1)
        finally:
            ended.set()

    frames = newest_frames(camera())
    next(frames)
    frames.close()
    assert ended.wait(60)


def test_what_ends_a_camera_is_raised_where_its_frames_are_looked_at() -> None:
    def camera() -> Iterator[np.ndarray]:
        yield frame(1)
        raise VideoError("film.y4m: damaged")

    with pytest.raises(VideoError, match="damaged"):
        list(newest_frames(camera()))


def test_the_last_frame_is_taken_after_the_end() -> None:
    place = NewestFrame()
    place.put(frame(7))
    place.end()
    taken = place.take()
    assert taken
    assert taken.rgb[0, 0, 0] == 7
    assert place.take() is None


def y4m(path: Path, frames: list[tuple[int, int, int]], colours: str, width: int = 5, height: int = 3) -> Path:
    """Each frame of one colour: luma, blue, red."""
    across, down = ((width + 1) // 2, (height + 1) // 2) if colours.startswith("420") else (width, height)
    content = f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C{colours}\n".encode()
    for luma, blue, red in frames:
        content += b"FRAME\n" + bytes([luma]) * (width * height)
        content += bytes([blue]) * (across * down) + bytes([red]) * (across * down)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("colours", ["420jpeg", "444"])
def test_a_y4m_video_gives_its_frames_at_its_own_speed(tmp_path: Path, colours: str) -> None:
    path = y4m(tmp_path / "film.y4m", [(16, 128, 128), (235, 128, 128), (81, 90, 240)], colours=colours)
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))
        now[0] += seconds

    frames = list(video_frames(path, clock=lambda: now[0], sleep=sleep))
    assert [each.shape for each in frames] == [(3, 5, 3)] * 3
    assert [each[2, 4].tolist() for each in frames] == [[0, 0, 0], [255, 255, 255], [254, 0, 0]]
    assert slept == [0.04, 0.04]
    assert len(list(video_frames(path, realtime=False, sleep=pytest.fail))) == 3


def test_colours_are_those_of_bt_601_which_jpeg_has_too_in_its_full_range() -> None:
    rng = np.random.default_rng(0)
    full = rng.integers(0, 256, (3, 8, 8)).astype(np.float32)
    luma = np.clip(np.rint(16 + full[0] * 219 / 255), 0, 255).astype(np.uint8)
    blue, red = (np.clip(np.rint(128 + (each - 128) * 224 / 255), 0, 255).astype(np.uint8) for each in full[1:])
    jpeg = np.asarray(Image.fromarray(full.astype(np.uint8).transpose(1, 2, 0), "YCbCr").convert("RGB"))
    assert np.abs(rgb_of(luma, blue, red).astype(int) - jpeg).max() <= 3


def test_an_animated_image_and_a_folder_of_photos_are_videos_too(tmp_path: Path) -> None:
    images = [Image.fromarray(frame(value, 8, 8)) for value in (0, 100, 200)]
    images[0].save(tmp_path / "film.png", save_all=True, append_images=images[1:], duration=20)
    assert [each[0, 0, 0] for each in video_frames(tmp_path / "film.png", realtime=False)] == [0, 100, 200]
    (tmp_path / "film.png").rename(tmp_path / "film.bin")
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate(("china.jpg", "flower.jpg")):
        (folder / f"{number}.jpg").write_bytes((PHOTOS / name).read_bytes())
    assert len(list(video_frames(folder, realtime=False))) == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"no video", b"YUV4MPEG2 W0 H4\n", b"YUV4MPEG2 W4\n", b"YUV4MPEG2 W4 H4 F1:0\n",
     b"YUV4MPEG2 W4 H4 C420p10\n",
     b"YUV4MPEG2 W4 H4\nFRAME\n" + bytes(10), b"YUV4MPEG2 W4 H4\nFRANE\n" + bytes(24), b"YUV4MPEG2 W99999 H4\n"],
)  # fmt: skip
def test_what_is_no_video_is_an_error_of_one_line_that_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "film.y4m").write_bytes(content)
    with pytest.raises((VideoError, PhotoError), match=r"film\.y4m") as caught:
        list(video_frames(tmp_path / "film.y4m", realtime=False))
    assert "\n" not in str(caught.value)
