"""Models to serve, by whatever names them: their digest, card and labels."""

import json
from pathlib import Path

import pytest

from lykeion.compress import CompressedModel, save
from lykeion.core import SILENT, Invalid, NotFound, digest_bytes
from lykeion.inputs import LabelsError, open_servable
from lykeion.nets import Architecture, Convolution, random_weights, write_litert
from lykeion.nets.training import TrainingError, write_arrays
from lykeion.registry import Publication, Stores, Untrusted, publish, resolve
from lykeion.vision import CardError, ModelCard

NETWORK = Architecture("tiny", 8, 8, (Convolution(8, 3, 2),), classes=4, channels=1)
WEIGHTS = random_weights(NETWORK)
LOGITS = write_litert(NETWORK, WEIGHTS, output="logits")
CARD = ModelCard("tiny", 8, 8, "grey", (127.5,), (127.5,), "centre", 1.0, "embedding", NETWORK.dimension)
CLASSES = ("boot", "bag", "shirt", "coat")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What a training leaves."""
    directory = tmp_path / "shoes"
    directory.mkdir()
    (directory / "architecture.json").write_text(json.dumps(NETWORK.to_json()))
    write_arrays(directory / "weights.npz", WEIGHTS)
    (directory / "model.tflite").write_bytes(write_litert(NETWORK, WEIGHTS))
    (directory / "model.json").write_text(CARD.to_json())
    (directory / "classes.json").write_text(json.dumps(CLASSES))
    return directory


def test_a_run_is_served_with_its_logits_its_card_and_its_classes(run: Path) -> None:
    found = open_servable(f"{run}/")
    assert (found.name, found.file.content, found.card, found.labels) == ("shoes", LOGITS, CARD, CLASSES)
    assert found.digest == digest_bytes(LOGITS)


def test_a_version_is_named_by_its_digest_in_the_registry(run: Path, tmp_path: Path) -> None:
    stores = Stores(tmp_path / "store")
    publish(run, "shoes:canary", stores, Publication(), reporter=SILENT)
    digest = resolve(*stores.find("shoes:canary"))
    for name in ("shoes:canary", "shoes:v1", f"shoes@{digest}"):
        found = open_servable(name, store=tmp_path / "store")
        assert (found.name, found.digest, found.labels) == ("shoes", digest, CLASSES)


def test_a_version_that_the_policy_refuses_is_not_opened(run: Path, tmp_path: Path) -> None:
    publish(run, "shoes:canary", Stores(tmp_path / "store"), Publication(), reporter=SILENT)
    (tmp_path / "trust.toml").write_text('default = "refuse"\n')
    with pytest.raises(Untrusted):
        open_servable("shoes:canary", tmp_path / "trust.toml", tmp_path / "store")


def test_a_file_is_served_with_the_card_beside_it_and_the_labels_that_are_named(run: Path, tmp_path: Path) -> None:
    file, labels = tmp_path / "net.v2.tflite", tmp_path / "labels.txt"
    file.write_bytes(LOGITS)
    assert open_servable(str(file)).card is None
    file.with_suffix(".json").write_text(CARD.to_json())
    labels.write_text("boot\nbag\nshirt\ncoat\n")
    found = open_servable(str(file), labels=labels, served_as="mine")
    assert (found.name, found.card, found.labels) == ("mine", CARD, CLASSES)
    assert open_servable(str(file)).name == "net.v2"


def test_a_step_of_a_compression_is_served_with_the_card_and_classes_of_its_run(run: Path, tmp_path: Path) -> None:
    save(CompressedModel(NETWORK, WEIGHTS), tmp_path / "1-prune")
    assert open_servable(str(tmp_path / "1-prune")).card is None
    found = open_servable(str(tmp_path / "1-prune"), card=run / "model.json", labels=run / "classes.json")
    assert (found.name, found.file.content, found.card, found.labels) == ("1-prune", LOGITS, CARD, CLASSES)
    with pytest.raises(CardError, match="gone"):
        open_servable(str(run), card=tmp_path / "gone.json")


def test_a_card_that_cannot_be_read_is_an_error_and_not_no_card(tmp_path: Path) -> None:
    file = tmp_path / "net.tflite"
    file.write_bytes(LOGITS)
    file.with_suffix(".json").write_text("{}")
    with pytest.raises(CardError):
        open_servable(str(file))


@pytest.mark.parametrize(("name", "text"), [("l.json", "{}"), ("l.json", "[1]"), ("l.json", "["), ("l.txt", None)])
def test_labels_that_cannot_be_read_are_an_error(run: Path, tmp_path: Path, name: str, text: str | None) -> None:
    (tmp_path / name).write_bytes(b"\xff" if text is None else text.encode())
    with pytest.raises(LabelsError, match=name):
        open_servable(str(run), labels=tmp_path / name)


def test_classes_of_a_run_that_cannot_be_read_are_an_error(run: Path) -> None:
    (run / "classes.json").write_text("[")
    with pytest.raises(TrainingError, match="list of classes"):
        open_servable(str(run))


def test_a_name_that_is_no_model_is_an_error_and_not_a_network_of_random_weights(tmp_path: Path) -> None:
    for name in ("mobilenet-v2", str(tmp_path / "gone.tflite"), "./gone"):
        with pytest.raises((NotFound, Invalid)):
            open_servable(name, store=tmp_path / "store")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "é", "-x", "a" * 129, ".."])
def test_a_name_that_a_url_would_not_hold_is_refused(run: Path, name: str) -> None:
    with pytest.raises(Invalid, match="--name"):
        open_servable(str(run), served_as=name)
