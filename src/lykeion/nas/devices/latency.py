"""The latency of a network of a space on a device, looked up block by block in the device's profile."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TypeAlias

import numpy as np

from lykeion.core import Invalid
from lykeion.engines.choosing import DeviceProfile, entry_key, read_profile
from lykeion.nas.design_space.space import Choice, Slot, Space, format_choice
from lykeion.nas.design_space.table import SlotTable

PIXEL1 = "pixel1"

Numbers: TypeAlias = Sequence[float] | np.ndarray
"""Of shape (n)."""


class LatencyError(Invalid):
    """A profile that does not fit the space, or too few measurements to fit or evaluate a predictor."""


class LatencyTable(SlotTable):
    """The profile's latencies for one space, with the fitted coefficients applied. Skipping a block costs nothing.

    Raises LatencyError if the profile is of another space, lacks a block, or gives a network without blocks a
    negative latency.
    """

    quantity, unit = "latency", "ms"

    def __init__(self, space: Space, profile: DeviceProfile) -> None:
        if profile.space not in (space.name, space.table_of):
            raise LatencyError(
                f"the profile of {profile.name!r} is of search space {profile.space!r}, not {space.name!r}; "
                f"measure one: lykeion nas profile --space {space.name}"
            )
        self.profile = profile
        rest = profile.scale * profile.rest_ms + profile.offset_ms
        if rest < 0:
            raise LatencyError(
                f"the profile of {profile.name!r} says that what all networks share takes {rest * 1e3:.4g} µs: the "
                "machine was too busy when it was measured; measure it again when it is quieter"
            )
        super().__init__(space, profile.name, rest, [_block_ms(space, profile, slot) for slot in space.slots])


def _block_ms(space: Space, profile: DeviceProfile, slot: Slot) -> dict[Choice | None, float]:
    block: dict[Choice | None, float] = {}
    for choice in slot.choices:
        key = entry_key(slot.position, format_choice(choice))
        if choice is None:
            block[choice] = 0.0
        elif key in profile.table:
            block[choice] = profile.scale * profile.table[key]
        else:
            raise LatencyError(
                f"the profile of {profile.name!r} lacks block {key!r} of space {space.name!r}; "
                f"measure one: lykeion nas profile --space {space.name}"
            )
    return block


def find_profile(device: str) -> DeviceProfile:
    """The profile in a file, or of "pixel1". Raises ProfileError."""
    return pixel1() if device == PIXEL1 else read_profile(Path(device))


def pixel1() -> DeviceProfile:
    """A Google Pixel 1 as published with Single-Path NAS (arXiv:1904.02877), for space "single-path"."""
    return DeviceProfile.from_json(resources.files("lykeion.nas.devices").joinpath("pixel1.json").read_bytes())


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Predicted latency becomes scale · predicted + offset_ms."""

    scale: float
    offset_ms: float
    fit_error: float
    """Mean of |fitted − measured| / measured over the networks of the fit."""


def fit(predicted_ms: Numbers, measured_ms: Numbers) -> Coefficients:
    """The two coefficients that minimise the sum of squared relative errors. Raises LatencyError."""
    predicted, measured = np.asarray(predicted_ms, float), np.asarray(measured_ms, float)
    if len(predicted) < 3 or len(predicted) != len(measured) or np.ptp(predicted) == 0:
        raise LatencyError("two coefficients need three measured networks of different predicted latency at least")
    # Rows are divided by the measured latency, so that a network of .05 ms counts as much as one of .3 ms.
    design = np.stack([predicted, np.ones_like(predicted)], 1) / measured[:, np.newaxis]
    (scale, offset_ms), *_ = np.linalg.lstsq(design, np.ones_like(measured), rcond=None)
    if scale <= 0:
        raise LatencyError(
            "measured latency falls where predicted latency rises; the machine was too busy: try again"
        )
    error = np.abs((scale * predicted + offset_ms) / measured - 1).mean()
    return Coefficients(float(scale), float(offset_ms), float(error))


@dataclass(frozen=True, slots=True)
class Judgement:
    """How well predicted latencies match measured ones, for networks that were not used in the fit."""

    networks: int
    mape: float
    """Mean of |predicted − measured| / measured."""
    worst: float
    within_10_percent: float
    """Share of networks."""
    spearman_rho: float
    kendall_tau: float


def judge(predicted_ms: Numbers, measured_ms: Numbers) -> Judgement:
    """Raises LatencyError."""
    predicted, measured = np.asarray(predicted_ms, float), np.asarray(measured_ms, float)
    if len(predicted) < 2 or len(predicted) != len(measured):
        raise LatencyError("a predictor is judged by two measured networks at least")
    error = np.abs(predicted / measured - 1)
    return Judgement(
        len(measured),
        mape=float(error.mean()),
        worst=float(error.max()),
        within_10_percent=float((error <= 0.1).mean()),
        spearman_rho=spearman_rho(predicted, measured),
        kendall_tau=kendall_tau(predicted, measured),
    )


def spearman_rho(first: Numbers, second: Numbers) -> float:
    """Rank correlation of two arrays (n); equal values share their mean rank. NaN if all values are equal."""
    ranks, others = _ranks(np.asarray(first, float)), _ranks(np.asarray(second, float))
    if np.ptp(ranks) == 0 or np.ptp(others) == 0:
        return float("nan")
    return float(np.corrcoef(ranks, others)[0, 1])


def kendall_tau(first: Numbers, second: Numbers) -> float:
    """Kendall's τ-b of two arrays (n), over all pairs. NaN if all values of one are equal."""
    signs = [np.sign(np.subtract.outer(values, values)) for values in (np.asarray(first), np.asarray(second))]
    scale = np.sqrt((signs[0] ** 2).sum() * (signs[1] ** 2).sum())
    return float((signs[0] * signs[1]).sum() / scale) if scale else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]
