"""The benchmark of two embedders in miniature: the right one is shipped, and nothing by another window."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(BENCHMARKS)
    before = set(sys.modules)
    import embedder_experiment

    yield embedder_experiment
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("embedder_experiment", "measuring"):
            del sys.modules[name]


@pytest.mark.slow
def test_the_right_embedder_is_shipped_and_its_record_can_be_had_again(program: ModuleType, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels, asked = rng.integers(0, 10, 800), rng.integers(0, 10, 200)
    centres = rng.normal(size=(10, 8))
    engines = [
        program.engine(
            name,
            *(part for of in (labels, asked) for part in (centres[of] + noise * rng.normal(size=(len(of), 8)), of)),
        )
        for name, noise in (("weak", 2.0), ("strong", 0.7))
    ]
    assert engines[0].precision + 0.2 < engines[1].precision
    found = program.tried(tmp_path, *engines, people=700, looks=(12, 24))
    found.append(program.interleaved(tmp_path / "i", engines, labels, asked, 200))
    assert program.failures(found) == [], [(each.name, each.day, each.refused, each.seen.results) for each in found]
