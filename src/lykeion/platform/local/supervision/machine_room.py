"""What fits on this machine: cores and memory, shared by all programs according to their requests."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lykeion.control import Condition
from lykeion.platform.resources.program import Requests

UNLIMITED = 1 << 30


@dataclass(frozen=True)
class LocalMachine:
    """The resources that this machine has for programs, and their default environment and working directory."""

    cores: float
    memory_bytes: float
    environment: Mapping[str, str]
    working_directory: str


@dataclass(frozen=True)
class Room:
    """What is free. ``machine`` is what there is in all."""

    machine: LocalMachine
    cores: float
    memory_bytes: float

    @classmethod
    def beside(cls, machine: LocalMachine, running: Iterable[tuple[Requests, int]]) -> "Room":
        """What is left by so many processes with these requests."""
        cores, memory_bytes = machine.cores, machine.memory_bytes
        for each, count in running:
            cores -= count * each.cores()
            memory_bytes -= count * each.memory_bytes()
        return cls(machine, cores, memory_bytes)

    def places(self, needs: Requests) -> int:
        """How many more processes with these requests fit."""
        room = [UNLIMITED]
        room += [int(self.cores / needs.cores() + 1e-9)] if needs.cores() else []
        room += [int(self.memory_bytes / needs.memory_bytes())] if needs.memory_bytes() else []
        return max(0, min(room))

    def unschedulable(self, needs: Requests, waiting: int) -> Condition:
        """Whether a process never fits, or ``waiting`` ones, all that are wanted, do not fit now."""
        asked = (needs.cores(), needs.memory_bytes())
        if lacking := _lacking(asked, (self.machine.cores, self.machine.memory_bytes)):
            return _condition("MachineTooSmall", f"one process needs {lacking}")
        if waiting:
            lacking = _lacking((asked[0] * waiting, asked[1] * waiting), (self.cores, self.memory_bytes))
            return _condition("NoRoom", f"{waiting} processes wait: they need {lacking} that are free")
        return Condition(type="Unschedulable", status="False", reason="Fits")


def _lacking(asked: tuple[float, float], there: tuple[float, float]) -> str:
    units = (("cores", 1), ("MiB of memory", 2**20))
    return " and ".join(
        f"{want / unit:g} {name} of {max(0.0, have) / unit:g}"
        for want, have, (name, unit) in zip(asked, there, units, strict=True)
        if want > have
    )


def _condition(reason: str, message: str) -> Condition:
    return Condition(type="Unschedulable", status="True", reason=reason, message=message)
