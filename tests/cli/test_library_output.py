"""No library prints anything by itself: a quiet command in a fresh process leaves standard error empty.

With oneDNN TensorFlow prints, as it is imported, all that it prints without, and a greeting more: every command runs
with it, and one without, too. What is trained, searched and measured is as small as it gets.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from lykeion.compress import CompressedModel, save
from lykeion.engines.choosing import write_profile
from lykeion.engines.running import processor
from lykeion.nas import pixel1
from lykeion.nets import Architecture, Convolution, random_weights, write_architecture, write_litert
from lykeion.vision import ModelCard
from tests.nas.strategies import tiny
from tests.nets.training.tiny import ARCHITECTURE, write_npz, write_photos

NEEDED = ("tensorflow", "jax", "openvino", "onnxruntime", "ai_edge_quantizer")
pytestmark = pytest.mark.skipif(not all(map(find_spec, NEEDED)), reason=f"needs {', '.join(NEEDED)}")

PACKAGE = Path(__file__).parents[1] / "fixtures/package-v1.lyk"
ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys
from lykeion.cli import main

for before, words in json.loads(sys.argv.pop()):
    exec(before)
    sys.argv[1:] = words
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
"""
NETWORK = Architecture("tiny", 8, 8, (Convolution(8, 3, 2),), classes=3)
CARD = ModelCard("tiny", 8, 8, "RGB", (0.0,) * 3, (1.0,) * 3, "centre", 1.0, "embedding", 8)
RECIPE = """
schema: lykeion.compression
version: 1
steps:
  - prune: {sparsity: 0.5, training: {epochs: 1, batch: 40}}
  - cluster: {clusters: 8}
  - quantize: {mode: int8, calibration: 8}
"""
UNTRAINED = """
from dataclasses import replace
from types import SimpleNamespace
from lykeion.nets import random_weights, training, write_architecture

def train_network(architecture, data, recipe, run, **_):
    architecture = replace(architecture, classes=len(data.classes))
    run.mkdir(parents=True)
    write_architecture(architecture, run / "architecture.json")
    training.write_arrays(run / "weights.npz", random_weights(architecture))
    return SimpleNamespace(validation_accuracy=0.5, history=SimpleNamespace(steps=1, seconds=1.0))

training.train_network = train_network
"""
SEARCHED = """
from lykeion.nas import FoundNetwork, LatencyTable, SearchCost, find_space
from lykeion.nas.runs import comparing

def run_search(request, run, **_):
    space = find_space(request.space)
    genotype = tuple(slot.choices[0] for slot in space.slots)
    return FoundNetwork(genotype, 0.5, LatencyTable(space, request.profile).total(genotype), SearchCost(1, 1.0), ())

comparing.run_search = run_search
"""
TINY_SPACE = """
from lykeion import nas
from lykeion.nas.runs import searching
from tests.nas.strategies import tiny
nas.find_space = searching.find_space = lambda name: tiny.space()
"""
TRACED = """
import lykeion.nets.quiet_keras, tensorflow as tf

def trace(number):
    @tf.function
    def constant():
        return tf.constant(number)
    constant()

for number in range(8):
    trace(number)
"""
BEFORE = {"nas compare": UNTRAINED + SEARCHED, "nas search": TINY_SPACE, "nas profile": TINY_SPACE, "traced": TRACED}
"""Run first: a comparison's six trainings, and its search in a process of its own, would take minutes."""
COMMANDS = {
    "index made": "index add photos --index photos.index --embedder tiny.tflite --kernel ivf -q",
    "traced": "nets list --json",
    "train": "train network.json --data quadrants.npz --run RUN --batch 40 --steps 1 -q",
    "train on jax": "train network.json --data quadrants.npz --run RUN --batch 40 --steps 1 -q",
    "compress run": "compress run recipe.yaml --model model --data quadrants.npz --run RUN -q",
    "compress sensitivity": "compress sensitivity --model model --data quadrants.npz --output RUN --photos 8 "
    "--png RUN.png -q",
    "nas search": "nas search --strategy random --target-uj 1e9 --data stripes.npz --run RUN --budget-steps 1 "
    "--child-steps 1 --batch 4 --json -q",
    "nas compare": "nas compare --device here.json --space single-path-32 --strategies random --seeds 1 "
    "--target-ms 1000 --baselines mobilenet-v2-0.35 --data large.npz --run RUN --budget-steps 1 --child-steps 1 "
    "--batch 4 --json -q",
    "nas profile": "nas profile --space single-path-32 --out RUN --png RUN.png --json -q",
    "nas profile --show": "nas profile --show pixel1 --png RUN.png --json",
    "nas space show": "nas space show single-path-32 --json",
    "nets show": "nets show mobilenet-v2 --png RUN.png --json",
    "models import": "models import MobileNet --weights none --json",
    "models push": "models push model shoes --json -q",
    "engines list": "engines list --json",
    "engines bench": "engines bench tiny.tflite --out RUN --png RUN.png -q",
    "engines bench compiled": "engines bench tiny.tflite --engine litert-compiled --json -q",
    "engines compare": "engines compare tiny.tflite --engine litert --engine onnxruntime --engine openvino "
    "--engine tensorflow --json",
    "index add": "index add photos --index RUN --embedder tiny.tflite --kernel hnsw --json -q",
    "index query": "index query photos/bag/1.png --index photos.index --embedder tiny.tflite --json",
    "index add on milvus": "index add photos --index milvus://PLACE/RUN.db/photos --embedder tiny.tflite --json -q",
    "index eval": "index eval --index photos.index --truth exact --json",
    "index rebuild": "index rebuild --index out-kept --json",
    "index compact": "index compact --index out-kept --json",
    "index merge": "index merge RUN photos.index --json -q",
    "index copy": "index copy photos.index milvus://PLACE/RUN.db/photos --json -q",
    "index duplicates": "index duplicates --index photos.index --json -q",
    "engines select": "engines select --model tiny.tflite --engine litert --goal 'minimise latency_ms' --json -q",
    "engines convert": "engines convert tiny.tflite RUN",
    "compress pack": "compress pack model --output RUN --json",
    "compress unpack": "compress unpack package.lyk --output RUN",
}
TOGETHER = ("train", "compress run", "models import", "nas compare", "nas search", "traced")
"""What uses Keras, after which many networks have been traced, in one process: TensorFlow is imported once, and
quietly wherever it is (tests/core/test_library_output.py)."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks, photos, a recipe and an index, as small as they get; made without TensorFlow."""
    place = tmp_path_factory.mktemp("quiet")
    write_npz(place, 60)
    tiny.write_photos(place / "stripes.npz", 24)
    write_photos(place / "photos", count=6)
    rng = np.random.default_rng(0)
    splits = ("train", "validation", "test")
    large = {f"x_{split}": rng.integers(0, 256, (8, 32, 32, 3)).astype(np.uint8) for split in splits}
    np.savez(place / "large.npz", **large, **{f"y_{split}": np.arange(8) % 2 for split in splits})
    write_profile(replace(pixel1(), soc=processor(), space="single-path-32"), place / "here.json")
    write_architecture(ARCHITECTURE, place / "network.json")
    save(CompressedModel(ARCHITECTURE, random_weights(ARCHITECTURE)), place / "model")
    (place / "recipe.yaml").write_text(RECIPE)
    (place / "tiny.tflite").write_bytes(write_litert(NETWORK, random_weights(NETWORK)))
    (place / "tiny.json").write_text(CARD.to_json())
    shutil.copy(PACKAGE, place / "package.lyk")
    assert_quiet(place, "index made")
    shutil.copytree(place / "photos.index", place / "out-kept")
    return place


@pytest.mark.parametrize(
    "commands", [TOGETHER, *((name,) for name in COMMANDS if name not in TOGETHER)], ids=", ".join
)
def test_a_quiet_command_prints_nothing_on_standard_error(commands: tuple[str, ...], place: Path) -> None:
    assert_quiet(place, *commands, **({"KERAS_BACKEND": "jax"} if commands == ("train on jax",) else {}))


def test_nor_does_one_without_onednn(place: Path) -> None:
    shutil.rmtree(place / "out-train", ignore_errors=True)
    assert_quiet(place, "train", TF_ENABLE_ONEDNN_OPTS="0")


def assert_quiet(place: Path, *commands: str, **environment: str) -> None:
    """Run them one after another in one process."""
    asked = [
        (
            BEFORE.get(name, ""),
            shlex.split(COMMANDS[name].replace("RUN", f"out-{name.replace(' ', '-')}").replace("PLACE", str(place))),
        )
        for name in commands
    ]
    kept = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    ours = {"TF_ENABLE_ONEDNN_OPTS": "1", "LYKEION_HOME": str(place / "home"), "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(asked)],
        cwd=place,
        env={**kept, **ours, **environment},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_person_who_asks_for_tensorflows_messages_gets_them() -> None:
    program = "import lykeion.nets.quiet_keras, os; print(os.environ['TF_CPP_MIN_LOG_LEVEL'])"
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0", "TF_ENABLE_ONEDNN_OPTS": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout == "0\n"
    assert "TensorFlow binary is optimized" in done.stderr


def test_a_picture_prints_nothing_where_matplotlib_has_no_place_for_its_cache(tmp_path: Path) -> None:
    assert_quiet(tmp_path, "nets show", MPLCONFIGDIR="/dev/null/none")
