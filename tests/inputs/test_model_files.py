"""Models by whatever names them, as files that engines run."""

import json
from pathlib import Path

import pytest

from lykeion.compress import CompressedModel, litert_file, save
from lykeion.core import SILENT
from lykeion.inputs import open_models
from lykeion.nets import Architecture, ArchitectureError, Convolution, random_weights, write_litert
from lykeion.nets.training import TrainingError, write_arrays
from lykeion.oci.distribution import DiskStore
from lykeion.registry import Publication, Stores, Untrusted, publish

NETWORK = Architecture("tiny", 8, 8, (Convolution(8, 3, 2),), classes=4, channels=1)
WEIGHTS = random_weights(NETWORK)
LOGITS = write_litert(NETWORK, WEIGHTS, output="logits")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What a training leaves: the file is of the embedding, weights are of all."""
    directory = tmp_path / "run"
    directory.mkdir()
    (directory / "architecture.json").write_text(json.dumps(NETWORK.to_json()))
    write_arrays(directory / "weights.npz", WEIGHTS)
    (directory / "model.tflite").write_bytes(write_litert(NETWORK, WEIGHTS))
    return directory


def test_a_run_gives_its_logits_and_names_its_classes(run: Path) -> None:
    (model,) = open_models([f"{run}/"])
    assert (model.name, model.content, model.run) == (str(run), LOGITS, run)


def test_a_step_of_a_compression_gives_its_own_file(tmp_path: Path) -> None:
    step = CompressedModel(NETWORK, WEIGHTS)
    save(step, tmp_path / "1-prune")
    (model,) = open_models([str(tmp_path / "1-prune")])
    assert model.content == litert_file(step)


def test_a_version_gives_what_its_directory_would(run: Path, tmp_path: Path) -> None:
    publish(run, "shoes:canary", Stores(tmp_path / "store"), Publication(), reporter=SILENT)
    for name in ("shoes:canary", "shoes:v1"):
        (model,) = open_models([name], store=tmp_path / "store")
        assert (model.name, model.content) == (name, LOGITS)


def test_a_version_that_the_policy_refuses_is_not_opened(run: Path, tmp_path: Path) -> None:
    publish(run, "shoes:canary", Stores(tmp_path / "store"), Publication(), reporter=SILENT)
    (tmp_path / "trust.toml").write_text('default = "refuse"\n')
    with pytest.raises(Untrusted):
        open_models(["shoes:canary"], tmp_path / "trust.toml", tmp_path / "store")
    assert DiskStore(tmp_path / "store").tags("shoes")


def test_the_only_file_of_a_directory_is_its_network_with_its_card(run: Path) -> None:
    (run / "architecture.json").unlink()
    (model,) = open_models([str(run)])
    assert model.source == run / "model.tflite"


def test_files_of_one_name_are_told_apart_by_their_paths(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "model.tflite"
    other.write_bytes(LOGITS)
    names = [str(run / "model.tflite"), str(other)]
    assert [model.name for model in open_models([*names, str(other)])] == names


def test_a_network_s_name_gives_it_random_weights() -> None:
    (model,) = open_models(["mobilenet-v2-0.35@32"])
    assert model.content[4:8] == b"TFL3"


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("no-such-network", ArchitectureError, "no network 'no-such-network'"),
        (".", TrainingError, "finished training"),
    ],
)
def test_what_names_no_model_is_an_error_that_says_so(
    name: str, error: type[Exception], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=says):
        open_models([name])
