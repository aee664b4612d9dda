"""A new version tried in processes of its own, which may crash, hang or take all memory: on noise, then on its golden
photos, whose answers were signed with it."""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from lykeion.core import LykeionError, json_value
from lykeion.device.signed_target import SignedTarget, read_target
from lykeion.litert import ModelError

from .class_speed import ClassSpeed, class_speed

if TYPE_CHECKING:
    from lykeion.engines.running import FirstRun
    from lykeion.vision import ModelCard

MAX_ANSWER_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class TrialReport:
    """``speed`` is that of a few runs on noise; ``photos`` is how many golden photos had the right answers."""

    load_ms: float
    speed: ClassSpeed
    memory_bytes: int
    photos: int


@dataclass(frozen=True, slots=True)
class ModelTrial:
    """Limits: seconds for a few runs, and again for the golden photos; address space of a process."""

    time_s: float = 60.0
    memory_bytes: int = 4 << 30

    def __call__(self, target: SignedTarget, content: bytes, companion: bytes) -> TrialReport:
        """Raises ModelError, which says how it failed; Unsupported for an engine that is not installed."""
        from lykeion.device.companion import read_companion

        read = read_companion(companion)
        first = self._run(target, content, read.card)
        if read.golden:
            self._answer(target, content, companion)
        speed = class_speed(target, first.rough_ms, lambda: self._run(target, content, read.card).rough_ms)
        return TrialReport(first.load_ms, speed, first.memory_bytes, len(read.golden))

    def speed(self, target: SignedTarget, content: bytes, companion: bytes) -> ClassSpeed:
        """Of a version that is here. Raises ModelError, RecordError, Unsupported."""
        from lykeion.device.companion import read_companion

        card = read_companion(companion).card

        def measured_ms() -> float:
            return self._run(target, content, card).rough_ms

        return class_speed(target, measured_ms(), measured_ms)

    def _run(self, target: SignedTarget, content: bytes, card: "ModelCard") -> "FirstRun":
        from lykeion.engines.running import TrialLimits, try_model

        return try_model(
            content,
            target.path,
            kind=target.engine,
            threads=target.threads,
            photo=(card.height, card.width, 1 if card.channels == "grey" else 3),
            limits=TrialLimits(self.time_s, self.memory_bytes),
        )

    def _answer(self, target: SignedTarget, content: bytes, companion: bytes) -> None:
        """Raises ModelError if the golden photos are not answered as they must be."""
        head = json.dumps([target.to_json(), target.path, self.memory_bytes, len(content), len(companion)])
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
            given.writelines([head.encode(), b"\n", content, companion])
            given.seek(0)
            ending = _run([sys.executable, "-P", "-m", __name__], given, said, self.time_s)
            said.seek(0)
            lines = [line for line in said.read(MAX_ANSWER_BYTES).splitlines() if line.startswith(b'{"wrong"')]
        if not lines:
            raise ModelError(f"{target.path}: on its golden photos {ending}")
        wrong = json_value(lines[-1], ModelError, "answer")["wrong"]
        if wrong:
            raise ModelError(f"{target.path}: answers wrongly: {wrong[0]}")


def _run(command: Sequence[str], given: BinaryIO, said: BinaryIO, time_s: float) -> str:
    """How the process ended."""
    with subprocess.Popen(command, stdin=given, stdout=said, stderr=subprocess.DEVNULL) as child:
        try:
            code = child.wait(time_s)
        except subprocess.TimeoutExpired:
            child.kill()
            return f"it takes more than {time_s:g} s"
    return f"it crashes ({signal.Signals(-code).name})" if code < 0 else f"it ends with code {code}"


def main() -> None:
    stream = sys.stdin.buffer
    custom, path, memory_bytes, size, companion_size = json.loads(stream.readline())
    with contextlib.suppress(ImportError, ValueError, OSError):  # not every system has the limits
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_ANSWER_BYTES, MAX_ANSWER_BYTES))
    try:
        wrong = _wrong(read_target(custom, path), stream.read(size), stream.read(companion_size))
    except LykeionError as error:
        wrong = [str(error)]
    except MemoryError:
        wrong = ["it needs more memory than it may take"]
    print(json.dumps({"wrong": wrong[:1]}), flush=True)  # noqa: T201  (to the parent)


def _wrong(target: SignedTarget, content: bytes, companion: bytes) -> list[str]:
    from lykeion.device.companion import wrong_answers

    from .loaded_model import LoadedModel

    model = LoadedModel(target, content, companion)
    return wrong_answers(model.companion, model.engine)


if __name__ == "__main__":
    main()
