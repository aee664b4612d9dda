"""Running a recipe: a directory for each step, from which a second run resumes, and a report.

The directory contains ``run.json`` (the request), ``0-original``, ``1-prune`` …: the model after each step with its
``row.json``; ``latency-….jsonl`` (timings, written as they are measured), ``report.json`` and ``report.html``.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from lykeion.core import (
    CONSOLE,
    Reporter,
    claim_run,
    digest_bytes,
    digest_json,
    fitting,
    read_json,
    stop_here,
    stop_signals,
    working_in,
    write_atomically,
    writing,
)
from lykeion.engines.choosing import TimingJournal, litert_candidate, measure
from lykeion.engines.running import this_machine
from lykeion.nets import Architecture, Convolution, random_weights
from lykeion.nets.training import Dataset, Photos

from .compressed_model import CompressedModel
from .errors import CompressionError
from .network_files import litert_file, open_model, save
from .predictions import correct_litert
from .settings import digest_of_input, plain
from .sizes import Sizes, sizes_of
from .steps import Step, check_steps

SCHEMA = "lykeion.compression-run"
VERSION = 1
MAX_BYTES = 1 << 24
_REPORT = "report of this release"


@dataclass(frozen=True, slots=True)
class StepRow:
    """The network after a step. ``latency_ms`` is the median, on one thread; None until it is measured."""

    step: str
    accuracy: float
    test_accuracy: float | None
    sizes: Sizes
    parameters: int
    multiply_adds: int
    sparsity: float
    values: int | None
    """The largest number of distinct values in a clustered kernel; None if no kernel is clustered."""
    notes: Mapping[str, Any]
    latency_ms: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "StepRow":
        """Raises ValueError, TypeError, KeyError."""
        row = cls(**{**plain, "sizes": Sizes(**plain["sizes"])})
        if not re.fullmatch("[0-9]+-[a-z0-9-]+", row.step):
            raise ValueError(f"a step is called {row.step!r}")
        told = (row.accuracy, row.parameters, row.multiply_adds, row.sparsity)
        measured = (row.test_accuracy, row.sizes.huffman, row.values, row.latency_ms)
        numbers = [*told, row.sizes.file, row.sizes.zstd, *(each for each in measured if each is not None)]
        if not all(0 <= number < math.inf for number in numbers) or not row.sizes.packed > 0:
            raise ValueError(f"a figure of {row.step}")
        return row


@stop_signals()
def compress(
    model: CompressedModel,
    data: Dataset,
    steps: Sequence[Step],
    run: Path,
    *,
    test: bool = False,
    latency: bool = True,
    reporter: Reporter = CONSOLE,
) -> tuple[StepRow, ...]:
    """Run the steps that are not done yet; the first row is the original model.

    ``test`` evaluates every step on the test photos too, including those already done. Raises CompressionError,
    TrainingError, ModelError, TimingError.
    """
    from .trainable.keras_network import check_backend, check_data, digest_of

    check_data(model, data)
    if any(step.trainings for step in steps):
        check_backend()
    if test and not len(data.test):
        raise CompressionError(f"{data.name} has no test photos; leave out --test")
    check_steps(steps, model)
    # Steps may be added to a recipe.
    request = {"schema": SCHEMA, "version": VERSION, "model": digest_of(model), "data": data.digest}
    request["fit"] = data.frame.fit
    claim_run(run / "run.json", "compression", request, CompressionError)
    with working_in(run, CompressionError):
        _check_continued(run, steps)
        rows = _carry_out(model, data, steps, run, test, reporter)
        rows = _timed(run, rows, reporter) if latency else _as_timed_before(run, rows)
        _write(run / "report.json", {"schema": SCHEMA, "version": VERSION, "rows": [row.to_json() for row in rows]})
    return tuple(rows)


def _check_continued(run: Path, steps: Sequence[Step]) -> None:
    """Raises CompressionError if a completed step is not in the recipe: the report would lose its row."""
    asked = {name for name, _ in _named(steps)}
    for file in sorted(run.glob("[0-9]*-*/row.json")):
        if file.parent.name not in asked:
            raise CompressionError(
                f"{file.parent}: the recipe has no such step; give the whole recipe or another --run, or delete it"
            )


def _named(steps: Sequence[Step]) -> list[tuple[str, Step | None]]:
    """The steps by the names of their directories; the first is the original network."""
    return [("0-original", None), *((f"{place}-{step.method}", step) for place, step in enumerate(steps, 1))]


def _carry_out(
    model: CompressedModel, data: Dataset, steps: Sequence[Step], run: Path, test: bool, reporter: Reporter
) -> list[StepRow]:
    """The rows of all steps; those of completed steps are read."""
    from .trainable.keras_network import digest_of

    rows: list[StepRow] = []
    asked: list[Any] = []
    for name, step in _named(steps):
        directory = run / name
        asked.append(None if step is None else {"from": digest_of(model), **_asked(step)})
        if (found := _done(directory, asked)) is not None:
            model, row = open_model(directory), found
            if test and row.test_accuracy is None:
                row = replace(row, test_accuracy=_accuracy(litert_file(model), data.test))
                _write(directory / "row.json", {"asked": asked, "row": row.to_json()})
        else:
            notes: Mapping[str, Any] = {}
            if step is not None:
                model, notes = step.apply(model, data, directory / "training", reporter=reporter)
            row = row_of(name, model, data, notes, test)
            _keep(directory, model, row, asked)
            stop_here(f"{run} has the steps up to {name}")
        rows.append(row)
    return rows


def row_of(name: str, model: CompressedModel, data: Dataset, notes: Mapping[str, Any], test: bool) -> StepRow:
    """The row of a network, without its latency. Raises CompressionError, ModelError."""
    from lykeion.nets import count

    file = litert_file(model)
    clustered = [len(np.unique(model.kernels[layer])) for layer in model.clustered]
    return StepRow(
        step=name,
        accuracy=_accuracy(file, data.validation),
        test_accuracy=_accuracy(file, data.test) if test else None,
        sizes=sizes_of(model),
        parameters=count(model.architecture).parameters,
        multiply_adds=model.multiply_adds,
        sparsity=model.sparsity,
        values=max(clustered) if clustered and model.converted is None else None,
        notes=notes,
    )


def _accuracy(file: bytes, photos: Photos) -> float:
    return float(correct_litert(file, photos).mean())


def read_rows(run: Path) -> tuple[StepRow, ...]:
    """The rows in ``report.json``. Raises CompressionError."""
    found = read_json(run / "report.json", CompressionError, _REPORT, limit=MAX_BYTES)
    with fitting(CompressionError, _REPORT, where=f"{run / 'report.json'}: "):
        if (found["schema"], found["version"]) != (SCHEMA, VERSION):
            raise ValueError(f"schema {found['schema']!r}")
        rows = tuple(StepRow.from_json(row) for row in found["rows"])
        if not rows:
            raise ValueError("no rows")
        return rows


def _timed(run: Path, rows: Sequence[StepRow], reporter: Reporter) -> list[StepRow]:
    """The rows with latencies; the networks are timed in turns, so that they are comparable."""
    files = {row.step: litert_file(open_model(run / row.step)) for row in rows}
    setup = {
        "files": {name: digest_bytes(file) for name, file in files.items()},
        "machine": this_machine().processor,
        "engine": version("ai-edge-litert"),
    }
    # A different list of steps, or a different machine, is a different measurement.
    journal = TimingJournal(run / f"latency-{digest_json(setup)[7:15]}.jsonl", setup)
    candidates = {name: litert_candidate(file) for name, file in files.items()}
    reference = Architecture("reference", 32, 32, (Convolution(32, 3), Convolution(32, 3)), classes=10)
    measured = measure(
        candidates,
        reference=litert_candidate(litert_file(CompressedModel(reference, random_weights(reference)))),
        journal=journal,
        reporter=reporter,
    )
    return [replace(row, latency_ms=measured[row.step].median_ms) for row in rows]


def _as_timed_before(run: Path, rows: Sequence[StepRow]) -> list[StepRow]:
    """The rows with the latencies that an earlier report has for the same networks."""
    if not (run / "report.json").exists():
        return list(rows)
    times = {(row.step, row.accuracy, row.sizes): row.latency_ms for row in read_rows(run)}
    return [replace(row, latency_ms=times.get((row.step, row.accuracy, row.sizes))) for row in rows]


def _asked(step: Step) -> dict[str, Any]:
    """The step's settings; its input files are represented by their digests, not by their paths."""
    trainings = {
        name: {**recipe.to_json(), "teacher": digest_of_input(Path(recipe.teacher)) if recipe.teacher else None}
        for name, recipe in step.trainings.items()
    }
    files = {name: digest_of_input(value) for name, value in step.values.items() if isinstance(value, Path)}
    return {"method": step.method, "settings": {**plain(step.settings), **files}, **trainings}


def _done(directory: Path, asked: list[Any]) -> StepRow | None:
    """The row of a step that was done with the same settings, as were all steps before it; None if it is not done."""
    if not (directory / "row.json").exists():
        return None
    file = directory / "row.json"
    found = read_json(file, CompressionError, "step of this release", limit=MAX_BYTES)
    if found.get("asked") != json.loads(json.dumps(asked)):
        raise CompressionError(
            f"{directory}: was made by another recipe, or from another network; delete it and what comes after it, "
            "or give another --run"
        )
    with fitting(CompressionError, "step of this release", where=f"{file}: "):
        return StepRow.from_json(found["row"])


def _keep(directory: Path, model: CompressedModel, row: StepRow, asked: list[Any]) -> None:
    """Save a step. The row is written last, and marks the step as done."""
    with writing(directory, CompressionError):
        save(model, directory)
    _write(directory / "row.json", {"asked": asked, "row": row.to_json()})


def _write(path: Path, value: Any) -> None:
    with writing(path, CompressionError):
        write_atomically(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())
