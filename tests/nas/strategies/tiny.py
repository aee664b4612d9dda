"""A space of 2,304 networks on photos of 12 × 12, a device that exists nowhere, and photos of stripes."""

from pathlib import Path

import numpy as np

from lykeion.engines.choosing import DeviceProfile, entry_key
from lykeion.nas import LatencyTable, Space, format_choice
from lykeion.nas.design_space.space import Choice, Stage, Strides, slots_of
from lykeion.nets import Convolution, FullyConnected, InvertedResidual
from lykeion.nets.training import Dataset, Recipe, load_data


def space() -> Space:
    plain = tuple(Choice(kernel, times) for kernel in (3, 5) for times in (2, 3, 4))
    excited = tuple(
        Choice(kernel, times, squeeze) for kernel in (3, 5) for times in (2, 4) for squeeze in (False, True)
    )
    stages = (
        Stage(8, 2, 1, plain, "relu"),
        Stage(16, 2, 2, excited, "hard-swish"),
    )
    return Space(
        "tiny",
        12,
        12,
        (Convolution(8, 3, 2, "hard-swish"), InvertedResidual(8, 8, 3, 1, "relu")),
        slots_of(stages, 6, 6, 8),
        (Convolution(24, 1, 1, "hard-swish"),),
        (FullyConnected(32, "hard-swish"),),
        Strides(2, 1, (1, 2, 1, 1)),
        classes=3,
    )


def table() -> LatencyTable:
    """Latencies that rise with every step of a choice, no two of a slot alike."""
    entries = {
        entry_key(slot.position, format_choice(choice)): (
            0.1 * choice.expansion * (1 + 0.3 * (choice.kernel == 5)) * (1 + 0.2 * choice.squeeze)
            + 0.01 * slot.position
        )
        for slot in space().slots
        for choice in slot.choices
        if choice is not None
    }
    profile = DeviceProfile(
        "nowhere", "none", "none", "0", 1, "float32", "tiny", "made up", "", entries, 0.5, scale=1.1, offset_ms=0.05
    )
    return LatencyTable(space(), profile)


def write_photos(path: Path, photos: int = 960) -> Path:
    """An npz file of stripes: along, across, or neither, under noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(photos) % 3
    waves = 90 * np.sin(np.arange(12) * 2.1)
    images = rng.normal(128, 40, (photos, 12, 12, 3))
    images[labels == 0] += waves[:, None, None]
    images[labels == 1] += waves[None, :, None]
    arrays = {"train": slice(0, photos // 2), "validation": slice(photos // 2, photos * 3 // 4)}
    arrays["test"] = slice(photos * 3 // 4, photos)
    clipped = images.clip(0, 255).astype(np.uint8)
    named = {f"x_{split}": clipped[part] for split, part in arrays.items()}
    np.savez(path, **named, **{f"y_{split}": labels[part] for split, part in arrays.items()})
    return path


def data(directory: Path) -> Dataset:
    return load_data(write_photos(directory / "stripes.npz"))


def recipe(**changes: object) -> Recipe:
    return Recipe(**{"steps": 12, "batch": 16, "learning_rate": 3e-3, **changes})
