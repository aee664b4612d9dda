"""Devices in two shops, each with its home, key and reports, that look at the film and say what they miss."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from lykeion.core import LykeionError
from lykeion.device import Device, DeviceSettings, read_root, set_up_device, video_frames

from .film import FRAMES_OF_A_CARD, Film

SHOPS = ("north", "south")
LOOKS = 6
"""Frames that each device looks at in a round."""


class Fleet:
    """``devices`` of SHOPS in turn; the first has the camera."""

    def __init__(self, homes: Path, root: Path, server: str, search: str, token: str, devices: int) -> None:
        self.homes = [homes / f"device-{number}" for number in range(devices)]
        for number, home in enumerate(self.homes):
            if not (home / "device.json").exists():
                attributes = {"shop": SHOPS[number % len(SHOPS)]}
                settings = DeviceSettings(server, server=server, search=search, attributes=attributes)
                set_up_device(home, settings, read_root(root), token)
        self.devices = [Device(home) for home in self.homes]

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *_: object) -> None:
        for device in self.devices:
            device.close()

    @property
    def in_pilot(self) -> int:
        return len(self.devices[:: len(SHOPS)])

    def update(self) -> dict[str, str]:
        """All of them, four at a time; what did not come through, by device and model."""
        with ThreadPoolExecutor(4) as pool:
            outcomes = list(pool.map(Device.update, self.devices))
        return {
            f"{home.name} {what}".strip(): problem
            for home, outcome in zip(self.homes, outcomes, strict=True)
            for what, problem in outcome.problems.items()
        }

    def look(self, film: Film, turn: int) -> tuple[int, int]:
        """Each looks at a few frames, and reports ``no_box`` if it finds nothing in most of them. Returns in how many
        frames devices of the pilot found something, and at how many they looked."""
        begin = turn * FRAMES_OF_A_CARD % max(1, len(film.shown) - LOOKS)
        frames = list(islice(video_frames(film.path, realtime=False), begin, begin + LOOKS))
        found = [self._look(device, frames) for device in self.devices]
        pilot = found[:: len(SHOPS)]
        return sum(pilot), len(pilot) * len(frames)

    def running(self) -> Sequence[int]:
        """The version of the detector on each; 0 for none."""
        states = [device.models().get("detector") for device in self.devices]
        return [state.running.offer.target.version if state and state.running else 0 for state in states]

    @staticmethod
    def _look(device: Device, frames: Sequence[object]) -> int:
        try:
            found = sum(bool(device.detect(frame, model="detector")) for frame in frames)  # type: ignore[arg-type]
            if 2 * found < len(frames):
                version = device.model("detector").target.version
                device.report("no_box", {"model": "detector", "version": version})
        except LykeionError:
            return 0
        return found
