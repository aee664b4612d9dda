"""Profiles of a space so small that measuring it takes a second."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lykeion.core import SILENT
from lykeion.engines.choosing import DeviceProfile, Noise, measure
from lykeion.engines.running import LiteRTEngine, Plan
from lykeion.nas import LatencyError, LatencyTable, Space, profile_host, write_host_profile
from lykeion.nas.design_space.space import Choice, Stage, Strides, slots_of
from lykeion.nas.devices import profiling
from lykeion.nas.devices.pieces import FITTED_ON, NOTHING, block_name, diverse, network_name, pieces, shared
from lykeion.nas.devices.profiling import host, profile_of
from lykeion.nets import Convolution, FullyConnected, InvertedResidual
from tests.engines.choosing.test_timing import Clock

CHOICES = (Choice(3, 3), Choice(5, 6, squeeze=True))
QUICK = Plan(passes=2, most=2, warm_up_s=0, sample_s=0.0005, apart_s=0)


@pytest.fixture
def space() -> Space:
    stages = (Stage(8, 3, 2, CHOICES, "relu"), Stage(16, 3, 2, CHOICES, "hard-swish"))
    return Space(
        "tiny",
        16,
        16,
        (Convolution(8, 3, 1, "relu"), InvertedResidual(8, 8, 3, 2, "relu")),
        slots_of(stages, 8, 8, 8),
        (Convolution(24, 1, 1, "relu"),),
        (FullyConnected(12, "relu"),),
        Strides(1, 2, (2, 2, 1, 1)),
        classes=4,
        channels=1,
    )


def additive(space: Space, entering: float = 0.002) -> Mapping[str, float]:
    """Times of a machine on which a network costs 1.1 times its parts and .01 ms, and entering the engine once."""
    times = {name: entering + 0.01 + 0.001 * place for place, name in enumerate(pieces(space))}
    times[NOTHING] = entering
    rest = entering + sum(times[name] - entering for name in shared(space))
    for genotype in diverse(space, FITTED_ON):
        blocks = [(slot, choice) for slot, choice in zip(space.slots, genotype, strict=True) if choice]
        parts = sum(times[block_name(slot, choice)] - entering for slot, choice in blocks)
        times[network_name(genotype)] = 1.1 * (rest + parts) + 0.01
    return times


def test_every_piece_is_a_file_that_runs(space: Space) -> None:
    for write in pieces(space, networks=2).values():
        engine = LiteRTEngine(write())
        first = engine.inputs[0]
        assert len(first.shape) == 4


def test_slots_that_hold_the_same_block_share_a_piece(space: Space) -> None:
    blocks = [name for name in pieces(space) if name[0].isdigit()]
    assert len(blocks) == 2 * 4  # of two stages: the first slot, and the two alike after it


def test_diverse_networks_differ_and_span_the_space(space: Space) -> None:
    found = diverse(space, 12)
    assert len(set(found)) == 12
    assert found == diverse(space, 12)
    depths = [sum(choice is not None for choice in genotype) for genotype in found]
    assert min(depths) < max(depths)
    for genotype in found:
        space.check(genotype)


def test_a_profile_foretells_the_networks_that_it_was_fitted_on(space: Space) -> None:
    times = additive(space)
    profile = profile_of(space, times, host(1))
    assert (profile.scale, profile.offset_ms) == (pytest.approx(1.1), pytest.approx(0.01))
    predict = LatencyTable(space, profile).total
    for genotype in diverse(space, FITTED_ON):
        assert predict(genotype) == pytest.approx(times[network_name(genotype)])


def test_a_profile_needs_every_piece(space: Space) -> None:
    times = dict(additive(space))
    del times["back"]
    with pytest.raises(LatencyError, match="1 of the pieces were not measured, 'back'"):
        profile_of(space, times, host(1))


def test_a_fit_that_says_nonsense_is_refused_and_measured_anew(
    space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine that is busy while the large networks are timed."""
    times = dict(additive(space))
    networks = {name: ms for name, ms in times.items() if name.startswith("network")}
    times |= {name: 20 * ms - 19 * min(networks.values()) for name, ms in networks.items()}
    with pytest.raises(LatencyError, match="the machine was too busy"):
        profile_of(space, times, host(1))

    def measured(of: Space, *, journal: Path, **_: object) -> DeviceProfile:
        journal.write_text("passes")
        return profile_of(of, times, host(1))

    monkeypatch.setattr(profiling, "profile_host", measured)
    with pytest.raises(LatencyError):
        write_host_profile(space, tmp_path / "here.json", reporter=SILENT)
    assert list(tmp_path.iterdir()) == []


def test_this_machine_is_measured_and_what_was_measured_is_kept(
    space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On made-up times: those of a busy machine may make no profile."""
    times = additive(space)
    by_file = {write(): times[name] for name, write in pieces(space).items()}
    clock = Clock()
    monkeypatch.setattr(profiling, "litert_candidate", lambda file, _: clock.candidate(by_file.get(file, 1.0)))
    monkeypatch.setattr(profiling, "measure", partial(measure, clock=clock, sleep=clock.sleep))
    journal = tmp_path / "passes.jsonl"
    profile = profile_host(space, threads=1, name="box", journal=journal, plan=QUICK, reporter=SILENT)
    assert (profile.name, profile.space, profile.threads, profile.fitted_on) == ("box", "tiny", 1, FITTED_ON)
    assert profile.engine == "LiteRT"
    assert len(profile.table) == sum(choice is not None for slot in space.slots for choice in slot.choices)
    assert isinstance(profile.noise, Noise)
    again = profile_host(space, threads=1, name="box", journal=journal, plan=QUICK, reporter=SILENT)
    assert replace(again, created="") == replace(profile, created="")
