"""What fits on a machine, what a process gets of it, and what is said when it does not fit."""

import asyncio
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.control import SqliteStore
from lykeion.platform import KINDS
from lykeion.platform.local.accelerators import Accelerator, asked_accelerators, find_accelerators
from lykeion.platform.local.machine_profile import keep_profile
from lykeion.platform.local.processes.attempt import Attempt
from lykeion.platform.local.processes.launch import Launch
from lykeion.platform.local.processes.machine_share import MachineShare
from lykeion.platform.local.processes.owned_processes import OwnedProcesses
from lykeion.platform.local.supervision.machine_room import LocalMachine, Room, share_of
from lykeion.platform.resources.programs.program import AcceleratorRequest, Requests
from lykeion.platform.resources.settings.cluster_profile import CLUSTER_PROFILE, Capacity

from .test_processes import NOON

T4S = (Accelerator("GPU-a", "t4"), Accelerator("GPU-b", "t4"), Accelerator("GPU-c", "a100-sxm4-80gb"))
MACHINE = LocalMachine(4, 8 << 30, {}, "/", (0, 1, 2, 3), T4S)
INFORMATION = """Model: \t\t {model}
IRQ:   \t\t 11
GPU UUID: \t {uuid}
Device Minor: \t 0
"""


def _needs(cpu: Any = None, memory: Any = None, type: str = "", count: int = 1) -> Requests:
    accelerator = AcceleratorRequest(type=type, count=count) if type else None
    return Requests(cpu=cpu, memory=memory, accelerator=accelerator)


def _refusal(needs: Requests, machine: LocalMachine = MACHINE, held: tuple[MachineShare, ...] = ()) -> str:
    return Room.beside(machine, held).unschedulable(needs, 1).message


def test_what_never_fits_says_what_is_needed_and_what_there_is() -> None:
    assert _refusal(_needs(cpu=8)) == "one process needs 8 cores; this machine has 4"
    assert _refusal(_needs(type="t4", count=3)) == "one process needs 3 t4; this machine has 2"
    bare = LocalMachine(2, 1 << 30, {}, "/")
    assert _refusal(_needs(type="t4", count=2), bare) == "one process needs 2 t4; this machine has none"
    assert (
        _refusal(_needs(4, "2Gi", "h200"), bare)
        == "one process needs 4 cores and 2048 MiB of memory and 1 h200; this machine has 2 and 1024 and none"
    )


def test_what_does_not_fit_now_says_what_is_free() -> None:
    held = (share_of(MACHINE, _needs(cpu=3, type="t4", count=2), ()),)
    assert _refusal(_needs(type="t4"), held=held) == "1 processes wait: they need 1 t4; there are none free"
    assert _refusal(_needs(cpu=2), held=held) == "1 processes wait: they need 2 cores; there are 1 free"


def test_a_type_includes_its_variants() -> None:
    assert Room.beside(MACHINE, ()).places(_needs(type="a100")) == 1
    assert Room.beside(MACHINE, ()).places(_needs(type="a1")) == 0
    assert share_of(MACHINE, _needs(type="a100"), ()).accelerators == ("GPU-c",)


def test_each_process_gets_accelerators_of_its_own_and_the_least_used_cores() -> None:
    first = share_of(MACHINE, _needs(cpu="1500m", type="t4"), ())
    second = share_of(MACHINE, _needs(cpu=1, type="t4"), (first,))
    third = share_of(MACHINE, _needs(cpu="500m", memory="1Gi"), (first, second))
    assert [each.cores for each in (first, second, third)] == [(0, 1), (2,), (3,)]
    assert (first.accelerators, second.accelerators) == (("GPU-a",), ("GPU-b",))
    assert third == MachineShare(0.5, (3,), 1 << 30)
    assert first.environment() == {"CUDA_VISIBLE_DEVICES": "GPU-a"}
    assert third.environment() == {}


@given(
    st.lists(
        st.builds(_needs, st.sampled_from([None, "250m", 1, 3]), st.sampled_from([None, "1Gi"]), st.just("t4")),
        max_size=8,
    )
)
def test_what_fits_is_never_given_twice(asked: list[Requests]) -> None:
    held: list[MachineShare] = []
    for needs in asked:
        if Room.beside(MACHINE, held).places(needs):
            held.append(share_of(MACHINE, needs, held))
    given_out = [identifier for each in held for identifier in each.accelerators]
    assert len(given_out) == len(set(given_out)) == len(held)
    assert sum(each.cpu for each in held) <= MACHINE.cores
    assert sum(each.memory_bytes for each in held) <= MACHINE.memory_bytes


def _driver(root: Path, *gpus: tuple[str, str]) -> Path:
    for number, (model, uuid) in enumerate(gpus):
        directory = root / f"proc/driver/nvidia/gpus/0000:0{number}:00.0"
        directory.mkdir(parents=True)
        (directory / "information").write_text(INFORMATION.format(model=model, uuid=uuid))
    return root


def test_accelerators_are_read_from_the_drivers_files(tmp_path: Path) -> None:
    models = ("Tesla T4", "NVIDIA A100-SXM4-80GB", "NVIDIA GeForce RTX 4090")
    root = _driver(tmp_path, *((model, f"GPU-{number}f") for number, model in enumerate(models)))
    found = find_accelerators(root)
    assert [each.type for each in found] == ["t4", "a100-sxm4-80gb", "rtx-4090"]
    assert [each.identifier for each in found] == ["GPU-0f", "GPU-1f", "GPU-2f"]
    assert find_accelerators(root, visible="2,GPU-0") == (found[0], found[2])
    assert find_accelerators(root, visible="") == ()


def test_without_a_driver_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_accelerators(tmp_path) == ()


def test_the_drivers_program_is_asked_where_its_files_do_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU-77, NVIDIA H200'\necho 'warning: of no matter'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    asked = (Accelerator("GPU-77", "h200"),)
    assert find_accelerators(tmp_path / "no driver's files") == asked
    assert find_accelerators(_driver(tmp_path, ("NVIDIA H200", "GPU-????????"))) == asked
    program.write_text("#!/bin/sh\nexit 9\n")
    assert asked_accelerators(str(program)) == []


def test_the_profile_of_this_machine_says_what_there_is_for_programs(tmp_path: Path) -> None:
    async def profile() -> Any:
        store = SqliteStore(tmp_path / "state.db", KINDS)
        for machine in (LocalMachine(1, 1, {}, "/"), MACHINE):
            await keep_profile(store, machine)
        (found,) = (await store.listing(CLUSTER_PROFILE)).items
        await store.close()
        return found

    accelerators = {"t4": 2, "a100-sxm4-80gb": 1}
    assert asyncio.run(profile()).status.capacity == Capacity(
        cores=4, memory_bytes=8 << 30, accelerators=accelerators
    )


def test_a_program_sees_its_accelerators_and_keeps_them_when_the_platform_starts_again(tmp_path: Path) -> None:
    needs, script = _needs(type="t4"), "echo $CUDA_VISIBLE_DEVICES; exec sleep 600"
    launch = Launch(("sh", "-c", script), {**os.environ, "CUDA_VISIBLE_DEVICES": ""}, "/", needs)
    first = OwnedProcesses(tmp_path, lambda: NOON, lambda uid: None, partial(share_of, MACHINE))
    first.start("u", Attempt(0, 0, NOON), launch)
    second = OwnedProcesses(tmp_path, lambda: NOON, lambda uid: None, partial(share_of, MACHINE))
    second.adopt("u")
    try:
        assert [each.accelerators for each in second.shares()] == [("GPU-a",)]
        second.start("u", Attempt(1, 0, NOON), launch)
        assert [each.accelerators for each in second.shares()] == [("GPU-a",), ("GPU-b",)]
        logs = second.logs()
        while not all(path.read_text().endswith("\n") for path in logs):
            time.sleep(0.01)
        assert [path.read_text() for path in logs] == ["GPU-a\n", "GPU-b\n"]
    finally:
        second.stop_all("u", "Shutdown", 0)
        for child in (*first._children.values(), *second._children.values()):
            child.wait()
