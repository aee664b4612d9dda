"""Volumes: a directory each, made when it is asked for and removed when nothing uses it any more."""

import asyncio
import shutil
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

from msgspec import structs

from lykeion.control import AnyResource, Condition, merged
from lykeion.platform.resources.programs import Volume

from .runner import RunnerStep

AGAIN_S = 1.0


class VolumeRunner:
    """``directory`` has a folder for each, by uid. ``is_used`` tells whether a running program has mounted it."""

    def __init__(self, directory: Path, is_used: Callable[[AnyResource], bool], now: Callable[[], datetime]) -> None:
        self._directory, self._is_used, self._now = directory, is_used, now

    def path(self, uid: str) -> Path:
        return self._directory / uid

    def adopt(self, resource: AnyResource) -> None:
        pass

    async def step(self, resource: Volume, room: int) -> RunnerStep:
        wrong = ""
        try:
            self.path(resource.metadata.uid).mkdir(parents=True, mode=0o700, exist_ok=True)
        except OSError as error:
            wrong = f"{self.path(resource.metadata.uid)}: cannot be made ({error.strerror})"
        truth, reason = ("False", "CannotBeMade") if wrong else ("True", "Made")
        condition = Condition(type="Ready", status=truth, reason=reason, message=wrong)
        conditions = merged(resource.status.conditions, self._now(), condition)
        return RunnerStep(structs.replace(resource.status, conditions=conditions), AGAIN_S if wrong else None)

    async def retire(self, resource: AnyResource) -> float | None:
        if self._is_used(resource):
            return AGAIN_S
        await asyncio.to_thread(shutil.rmtree, self.path(resource.metadata.uid), True)
        return None

    def remove_others(self, known: Collection[str]) -> None:
        """Remove what was left by volumes whose deletion an earlier platform did not complete."""
        for path in self._directory.iterdir() if self._directory.is_dir() else ():
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)
