"""What the supervisor needs to know to run resources of one kind."""

from dataclasses import dataclass
from typing import Any, Protocol

from lykeion.control import AnyResource


@dataclass(frozen=True)
class RunnerStep:
    """The status after a step, the seconds until the next is due, and how many processes wait for room."""

    status: Any
    again_s: float | None = None
    waiting: int = 0


class Runner(Protocol):
    def adopt(self, resource: AnyResource) -> None:
        """Find the processes that an earlier platform has left; called once, before the first step."""
        ...

    async def step(self, resource: AnyResource, room: int) -> RunnerStep:
        """Start and stop processes as the spec says; ``room`` is how many more fit on the machine."""
        ...

    async def retire(self, resource: AnyResource) -> float | None:
        """End all processes of a deleted resource. Returns the seconds until the next step; None when all ended."""
        ...
