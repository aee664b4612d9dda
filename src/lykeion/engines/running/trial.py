"""A model's first run, in a separate process: whether it works, how long it takes, and how much memory it needs.

LiteRT verifies that a file is a valid flatbuffer, not that its network is valid: a convolution without its bias, or
options of another operator, can crash the process that loads it. An untrusted file is therefore tried where a crash,
an endless run or excessive use of memory does no harm. A new process also serves to measure a cold start.
"""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from lykeion.core import LykeionError
from lykeion.litert import ModelError

from .engine import Engine
from .engine_kinds import Kind, find_kind
from .machine import peak_bytes, pinned
from .tensor_specs import encoded, noise
from .timed_pass import Plan, run_pass

MEMORY_BYTES = 8 << 30
TIME_S = 60
"""For a few runs, where the caller sets no other limit."""
_ROUGH = Plan(warm_up_s=0.002, sample_s=0.02, least=1)


@dataclass(frozen=True, slots=True)
class FirstRun:
    """One engine in a new process, its package imported: loading the model, and the first run on a photo of noise.

    ``rough_ms`` is the minimum of the few runs after it. ``memory_bytes`` is the peak memory beyond what the process
    had before; 0 if the system does not report it. ``at_once`` is how many photos it takes at once: as many as were
    tried, or 1.
    """

    load_ms: float
    run_ms: float
    rough_ms: float
    memory_bytes: int
    at_once: int = 1


@dataclass(frozen=True, slots=True)
class TrialLimits:
    """What a trial may take: seconds for each model, and address space of its process, which is ended otherwise."""

    time_s: float = field(default_factory=lambda: TIME_S)
    memory_bytes: int = MEMORY_BYTES


@dataclass(frozen=True, slots=True)
class Trial:
    """A model to try with these numbers of threads, one after the other; ``name`` is its name in errors.

    It runs on one photo, then on ``at_once`` photos. ``photo`` is the shape of a photo, if the model is for photos of
    any size.
    """

    name: str
    model: bytes
    threads: tuple[int, ...] = (1,)
    at_once: int = 1
    photo: tuple[int, ...] = ()


def try_model(
    model: bytes,
    name: str,
    *,
    kind: str = "litert",
    threads: int = 1,
    at_once: int = 1,
    photo: tuple[int, ...] = (),
    limits: TrialLimits | None = None,
) -> FirstRun:
    """Load a ``.tflite`` file's bytes into an engine and run it on noise. Raises ModelError, which names it ``name``,
    also if the engine does not support it."""
    (outcome,) = try_models([Trial(name, model, (threads,), at_once, photo)], kind, limits)
    if isinstance(outcome, ModelError):
        raise outcome
    return outcome[0]


def try_models(
    trials: Sequence[Trial], kind: str, limits: TrialLimits | None = None
) -> Iterator[tuple[FirstRun, ...] | ModelError]:
    """First runs for each trial's numbers of threads, or the error, in order. One process is used until a model ends
    it; only its very first run is a cold start. A model that ends it on many photos is tried again on one."""
    waiting = list(trials)
    while waiting:
        lines, ending = _in_child(waiting, kind, limits or TrialLimits())
        for line in lines:
            plain = json.loads(line)
            trial = waiting.pop(0)
            runs = tuple(FirstRun(**run) for run in plain.get("runs", ()))
            yield runs or ModelError(plain.get("error", f"{trial.name}: failed"))
        if waiting and waiting[0].at_once > 1:
            waiting[0] = replace(waiting[0], at_once=1)
        elif waiting:
            yield ModelError(f"{waiting.pop(0).name}: {ending}")


def _in_child(trials: Sequence[Trial], kind: str, limits: TrialLimits) -> tuple[list[bytes], str]:
    """The output line of each completed trial; and how the next one failed."""
    heads = json.dumps([(each.name, len(each.model), each.threads, each.at_once, each.photo) for each in trials])
    lines: list[bytes] = []
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.writelines([heads.encode(), b"\n", *(trial.model for trial in trials)])
        given.seek(0)
        command = [sys.executable, "-P", "-m", __name__, kind, str(limits.memory_bytes)]  # -P: nothing from .
        with subprocess.Popen(command, stdin=given, stdout=subprocess.PIPE, stderr=said) as child:
            late = threading.Event()
            while len(lines) < len(trials) and (line := _next_line(child, late, limits.time_s)):
                lines.append(line)
            if len(lines) == len(trials):
                child.kill()  # a library may hang while the process ends
        said.seek(0)
        last = said.read().decode(errors="replace").strip().splitlines()
    if late.is_set():
        return lines, f"a few runs of the model take more than {limits.time_s:g} s"
    if child.returncode < 0:
        cause, title = signal.Signals(-child.returncode).name, "LiteRT" if kind.startswith("litert") else kind
        return lines, f"the model crashes {title} ({cause}): it is damaged, or made to do harm"
    return lines, last[-1] if last else "not a model that can run here"


def _next_line(child: subprocess.Popen[bytes], late: threading.Event, time_s: float) -> bytes:
    """The child's next line in our format, since a library may write to standard output too; empty at the end of the
    output. The child is killed after ``time_s``."""

    def kill() -> None:
        late.set()
        child.kill()

    assert child.stdout is not None
    timer = threading.Timer(time_s, kill)
    timer.start()
    try:
        return next((line for line in child.stdout if line.startswith(b'{"') and line.endswith(b"\n")), b"")
    finally:
        timer.cancel()


def main() -> None:
    kind = find_kind(sys.argv[1])
    with contextlib.suppress(ImportError, ValueError, OSError):  # not every system has the limit
        import resource

        memory_bytes = int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    heads = json.loads(sys.stdin.buffer.readline())
    trials = [_read(*head) for head in heads]
    for trial in trials:
        try:
            kind.imported()
            runs = [asdict(_first_run(kind, trial, count)) for count in trial.threads]
            print(json.dumps({"runs": runs}), flush=True)  # noqa: T201  (to the parent)
        except LykeionError as error:
            print(json.dumps({"error": str(error)}), flush=True)  # noqa: T201


def _read(name: str, model: int, threads: list[int], at_once: int, photo: list[int]) -> Trial:
    return Trial(name, sys.stdin.buffer.read(model), tuple(threads), at_once, tuple(photo))


def _first_run(kind: Kind, trial: Trial, threads: int) -> FirstRun:
    with pinned(threads):
        before, began = _begin_peak(), time.perf_counter()
        engine = kind.load(trial.model, threads=threads, name=trial.name)
        loaded = time.perf_counter()
        one = _noise(engine, trial, 1)
        ready = time.perf_counter()
        engine.run(*one)
        ran = time.perf_counter()
        rough = run_pass(engine.ready(*one), _ROUGH, time.perf_counter_ns)
        taken = max(0, peak_bytes() - before)
        at_once = trial.at_once if trial.at_once > 1 and _takes_many(engine, trial) else 1
        engine.close()
    return FirstRun(1e3 * (loaded - began), 1e3 * (ran - ready), rough.minimum_ms, taken, at_once)


def _takes_many(engine: Engine, trial: Trial) -> bool:
    """False if an inner shape is constant, such as that of a reshape to one row."""
    try:
        engine.run(*_noise(engine, trial, trial.at_once))
    except ModelError:
        return False
    return True


def _noise(engine: Engine, trial: Trial, photos: int) -> list[np.ndarray]:
    try:
        return encoded(engine.inputs, noise(engine.inputs, photos, trial.photo))
    except ModelError as error:
        raise ModelError(f"{trial.name}: {error}") from None


_CLEAR = Path("/proc/self/clear_refs")


def _begin_peak() -> int:
    """Resets the peak where possible (Linux), and returns the memory from which it is counted."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5")
    return peak_bytes()


if __name__ == "__main__":
    main()
