"""What fits on this machine: cores, memory and accelerators, shared by all programs according to their requests."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lykeion.control import Condition
from lykeion.platform.local.accelerators import Accelerator
from lykeion.platform.local.processes.machine_share import MachineShare
from lykeion.platform.resources.programs import Requests

UNLIMITED = 1 << 30


@dataclass(frozen=True)
class LocalMachine:
    """The resources that this machine has for programs, and their default environment and working directory.

    ``core_numbers`` are those of the cores on which programs may run, as the system counts them; ``cgroup`` is a
    control group below which memory can be limited, if there is one.
    """

    cores: float
    memory_bytes: float
    environment: Mapping[str, str]
    working_directory: str
    core_numbers: tuple[int, ...] = ()
    accelerators: tuple[Accelerator, ...] = ()
    cgroup: Path | None = None
    starts_images: bool = False


@dataclass(frozen=True)
class Room:
    """What is free. ``machine`` is what there is in all."""

    machine: LocalMachine
    cores: float
    memory_bytes: float
    accelerators: tuple[Accelerator, ...]

    @classmethod
    def beside(cls, machine: LocalMachine, held: Iterable[MachineShare]) -> "Room":
        """What is left by processes with these shares."""
        shares = list(held)
        taken = {identifier for each in shares for identifier in each.accelerators}
        return cls(
            machine,
            machine.cores - sum(each.cpu for each in shares),
            machine.memory_bytes - sum(each.memory_bytes for each in shares),
            tuple(each for each in machine.accelerators if each.identifier not in taken),
        )

    def places(self, needs: Requests) -> int:
        """How many more processes with these requests fit."""
        return max(0, min((int(each.free / each.wanted + 1e-9) for each in self._compare(needs)), default=UNLIMITED))

    def unschedulable(self, needs: Requests, waiting: int) -> Condition:
        """Whether a process never fits, or ``waiting`` ones, all that are wanted, do not fit now."""
        if lacking := [each for each in Room.beside(self.machine, ())._compare(needs) if each.wanted > each.free]:
            message = f"one process needs {_wanted(lacking)}; this machine has {_free(lacking)}"
            return Condition(type="Unschedulable", status="True", reason="MachineTooSmall", message=message)
        if waiting:
            lacking = [each for each in self._compare(needs, waiting) if each.wanted > each.free]
            message = f"{waiting} processes wait: they need {_wanted(lacking)}; there are {_free(lacking)} free"
            return Condition(type="Unschedulable", status="True", reason="NoRoom", message=message)
        return Condition(type="Unschedulable", status="False", reason="Fits")

    def _compare(self, needs: Requests, processes: int = 1) -> list["_Amount"]:
        amounts = [
            _Amount("cores", processes * needs.cores(), self.cores),
            _Amount("MiB of memory", processes * needs.memory_bytes() / 2**20, self.memory_bytes / 2**20),
        ]
        if asked := needs.accelerator:
            free = sum(each.is_a(asked.type) for each in self.accelerators)
            amounts.append(_Amount(asked.type, processes * asked.count, free))
        return [each for each in amounts if each.wanted]


@dataclass(frozen=True)
class _Amount:
    """Of one thing: what is wanted, and what is free."""

    name: str
    wanted: float
    free: float


def share_of(machine: LocalMachine, needs: Requests, held: Collection[MachineShare]) -> MachineShare:
    """What a process with these requests gets beside the shares of others, where it fits.

    Of the cores the least used ones, as many as ``cpu`` rounded up; of the free accelerators the first of its type.
    """
    used = dict.fromkeys(machine.core_numbers, 0.0)
    for each in held:
        used |= {core: used.get(core, 0.0) + each.cpu / len(each.cores) for core in each.cores}
    cores = sorted(machine.core_numbers, key=lambda core: (used[core], core))[: math.ceil(needs.cores())]
    asked, free = needs.accelerator, Room.beside(machine, held).accelerators
    devices = [each.identifier for each in free if each.is_a(asked.type)][: asked.count] if asked else []
    return MachineShare(needs.cores(), tuple(sorted(cores)), int(needs.memory_bytes()), tuple(devices))


def _wanted(amounts: Iterable[_Amount]) -> str:
    return " and ".join(f"{each.wanted:g} {each.name}" for each in amounts)


def _free(amounts: Iterable[_Amount]) -> str:
    return " and ".join(f"{each.free:g}" if each.free > 0 else "none" for each in amounts)
