"""Whether the process that used a model before ended by a crash: a mark that it makes when it loads the model, and
removes when it closes. A restart of the machine is no crash of the model."""

import atexit
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from weakref import WeakMethod

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class CrashMarks:
    """In ``directory``, a file for each model and process. Nothing is synced, and nothing raised: what is lost with
    the power would not be counted anyway."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._own = directory, dict[str, Path]()
        self._at_exit = _calling(WeakMethod(self.close))
        atexit.register(self._at_exit)

    def begin(self, model: str, version: int) -> list[int]:
        """This process uses a version from now on. The versions that crashed since somebody asked."""
        crashed = [found for path in self._marks(model) if (found := _crashed(path))]
        path = self._directory / f"{model}.{os.getpid()}.used"
        with suppress(OSError):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(json.dumps([version, os.getpid(), _boot()]))
            self._own[model] = path
        return crashed

    def close(self) -> None:
        """This process uses none any more."""
        for path in self._own.values():
            with suppress(OSError):
                path.unlink(missing_ok=True)
        self._own.clear()
        atexit.unregister(self._at_exit)

    def _marks(self, model: str) -> list[Path]:
        with suppress(OSError):
            return [each for each in self._directory.glob(f"{model}.*.used") if each not in self._own.values()]
        return []


def _crashed(path: Path) -> int:
    """The version that a process used which is no more; 0 if it is there, or ended with the machine."""
    try:
        version, process, boot = json.loads(path.read_bytes())
        if boot == _boot() and process != os.getpid() and _is_there(process):
            return 0
        path.unlink()
        return version if boot == _boot() and type(version) is int else 0
    except (OSError, ValueError, TypeError):
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return 0


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _boot() -> str:
    with suppress(OSError):
        return _BOOT.read_text().strip()
    return ""


def _calling(method: "WeakMethod[Callable[[], None]]") -> Callable[[], None]:
    """Calls the method as long as its object is there, without keeping it."""

    def call() -> None:
        if found := method():
            found()

    return call
