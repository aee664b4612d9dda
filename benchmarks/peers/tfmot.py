"""TensorFlow Model Optimization on our network: what it makes is measured as ours is."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from measuring.compress_recipes import Plan, phases

from lykeion.compress import CompressedModel, Qat, StepRow, kernel_layers, open_model, select
from lykeion.compress.compressed_model import USUAL
from lykeion.compress.compressing import row_of
from lykeion.compress.methods.qat import apply as to_int8
from lykeion.core import SILENT
from lykeion.nets.training import Dataset, read_arrays

BENCHMARKS = Path(__file__).parents[1]


def rows(python: Path, teacher: Path, data: Dataset, plan: Plan, seed: int, work: Path) -> Sequence[StepRow]:
    """The dense network; pruned; clustered with its zeros kept; that in int8 by our writer."""
    work.mkdir(parents=True, exist_ok=True)
    dense = open_model(teacher)
    names = select(dense.architecture, USUAL)
    first, second = phases(plan, seed, teacher)
    job = {
        "teacher": str(teacher.resolve()),
        "work": str(work.resolve()),
        "layers": names,
        "plan": asdict(plan),
        "recipes": [first.to_json(), second.to_json()],
    }
    if not (work / "clustered.npz").exists():
        np.savez(work / "train.npz", images=data.train.read(np.arange(len(data.train))), labels=data.train.labels)
        environment = {
            **os.environ,
            "TF_USE_LEGACY_KERAS": "1",
            "PYTHONPATH": f"{BENCHMARKS}:{BENCHMARKS.parent}/src",
        }
        subprocess.run(
            [python, "-m", "peers.tfmot_job", json.dumps(job)], cwd=BENCHMARKS, env=environment, check=True
        )
        (work / "train.npz").unlink()
    pruned = CompressedModel(dense.architecture, read_arrays(work / "pruned.npz"), sparse=frozenset(names))
    shared = replace(pruned, weights=read_arrays(work / "clustered.npz"), clustered=frozenset(names))
    integers, notes = to_int8(positive(shared), data, Qat(), reporter=SILENT)
    made: list[tuple[str, CompressedModel, Any]] = [
        ("0-original", dense, {}),
        ("1-prune", pruned, {}),
        ("2-cluster", shared, {}),
        ("3-int8", integers, notes),
    ]
    return [row_of(name, model, data, note, True) for name, model, note in made]


def positive(model: CompressedModel) -> CompressedModel:
    """The same network with batch norm's gains above 0, as our int8 needs them behind a codebook."""
    weights = dict(model.weights)
    for layer in kernel_layers(model.architecture):
        if layer.name in model.clustered and layer.kind != "dense":
            sign = np.where(weights[f"{layer.name}/gamma"] < 0, np.float32(-1), np.float32(1))
            for name in ("kernel", "mean", "gamma"):
                weights[f"{layer.name}/{name}"] = weights[f"{layer.name}/{name}"] * sign
    return replace(model, weights=weights)
