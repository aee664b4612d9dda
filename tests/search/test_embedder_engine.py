"""Which engine runs an embedder's network."""

import dataclasses
import json
import threading
from pathlib import Path

import numpy as np
import pytest

from lykeion.core import Unsupported
from lykeion.engines.choosing import AgreeingEngine, EngineRace, ModelFile, NothingRemembered
from lykeion.engines.running import UnknownEngine, find_kind
from lykeion.nets import default_model
from lykeion.search.embedder import Embedder
from lykeion.search.embedder_engine import LITERT, EngineWish, sample_pixels
from lykeion.search.index import open_index
from lykeion.search.precision_price import precision_price
from lykeion.vision import ModelCard, normalise

PHOTOS = Path(__file__).parents[1] / "photos"


@pytest.fixture(autouse=True, scope="module")
def home(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LYKEION_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def card(home: None) -> ModelCard:
    return ModelCard.for_model(default_model())


@pytest.fixture(scope="module")
def model(home: None) -> ModelFile:
    return ModelFile("default", default_model().read_bytes())


def race(card: ModelCard, *names: str, least_cosine: float = 0.9999) -> EngineRace:
    rows = normalise(sample_pixels(card)[:2], card)
    return EngineRace([find_kind(name) for name in names], card.output, rows, least_cosine)


def test_an_engine_that_is_named_gives_the_vectors_of_litert() -> None:
    pytest.importorskip("openvino")
    expected = Embedder.load().embed_photo(PHOTOS / "china.jpg").vector
    other = Embedder.load(engine=EngineWish("openvino"))
    assert other.engine.name == "openvino"
    assert other.embed_photo(PHOTOS / "china.jpg").vector @ expected > 0.9999
    assert other.digest == Embedder.load().digest


def test_the_fastest_that_agrees_is_found_once_and_remembered(card: ModelCard, model: ModelFile) -> None:
    between = race(card, "litert-builtin", "litert")
    with pytest.raises(NothingRemembered):
        between.remembered(model)
    found = between.run(model)
    assert found.name == "litert"  # several times as fast as LiteRT's own kernels
    assert found.cosine >= 0.9999
    assert found.times_ms["litert"] < found.times_ms["litert-builtin"]
    assert between.remembered(model) == found


def test_an_engine_whose_vectors_differ_is_not_taken_however_fast(card: ModelCard, model: ModelFile) -> None:
    found = race(card, "litert-builtin", "litert", least_cosine=1.1).run(model)
    assert found.name == "litert-builtin"
    assert found.times_ms["litert"] < found.times_ms["litert-builtin"]


def test_what_was_found_for_another_model_is_not_taken(card: ModelCard, model: ModelFile) -> None:
    between = race(card, "litert-builtin", "litert", least_cosine=0.5)
    between.run(model)
    with pytest.raises(NothingRemembered):
        between.remembered(dataclasses.replace(model, content=model.content + bytes(16)))


@pytest.mark.parametrize("document", ["", "[]", '{"name": "litert"}', '{"name": 1, "cosine": 1, "times_ms": {}}'])
def test_what_cannot_be_read_is_not_remembered(tmp_path: Path, document: str) -> None:
    path = tmp_path / "choice.json"
    path.write_text(document)
    with pytest.raises((NothingRemembered, UnknownEngine)):
        AgreeingEngine.read(path)


def test_a_choice_is_written_as_json_that_says_each_time(tmp_path: Path) -> None:
    path, choice = tmp_path / "choice.json", AgreeingEngine("openvino", 0.99995, {"litert": 12.0, "openvino": 10.5})
    path.write_text(json.dumps(dataclasses.asdict(choice)))
    assert AgreeingEngine.read(path) == choice


def test_nothing_is_measured_where_it_is_not_worth_its_seconds() -> None:
    said: list[str] = []
    found = Embedder.load(engine=EngineWish("auto", measure=False, measuring=said.append)).engine
    assert (found.name, said) == ("litert", [])


@pytest.mark.slow
def test_a_service_starts_on_litert_and_finds_the_fastest_when_it_has_work(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr("lykeion.search.embedder.MEASURED_FROM", 2)
    embedder = Embedder.load(engine=EngineWish("auto", measure=False, later=True))
    assert (embedder.engine.name, embedder.engine.open) == ("litert", True)
    vector = embedder.embed_photo(PHOTOS / "china.jpg").vector
    assert embedder.engine.open  # after one photo of two
    embedder.embed_photo(PHOTOS / "china.jpg")
    for thread in threading.enumerate():
        if thread.name == "engine":
            thread.join()
    assert not embedder.engine.open
    assert embedder.engine.name in ("litert", "onnxruntime", "openvino")
    assert embedder.embed_photo(PHOTOS / "china.jpg").vector @ vector > 0.9999
    assert not Embedder.load(engine=EngineWish("auto", measure=False, later=True)).engine.open


def test_an_engine_that_does_not_run_embedders_is_refused(card: ModelCard) -> None:
    for wish, why in (
        (
            EngineWish("litert-builtin"),
            "litert-builtin does not run embedders; there are litert, onnxruntime, openvino",
        ),
        (EngineWish("openvino-fast"), "openvino-fast needs --embed-precision fast"),
    ):
        with pytest.raises(Unsupported, match=why):
            wish.find(b"", "model", card)
    with pytest.raises(UnknownEngine, match="no engine is called 'quick'"):
        EngineWish("quick").find(b"", "model", card)


def test_generated_photos_are_the_same_at_each_call_and_differ_from_one_another(card: ModelCard) -> None:
    photos = sample_pixels(card)
    np.testing.assert_array_equal(photos, sample_pixels(card))
    assert photos.shape == (8, card.height, card.width, 3)
    assert len({photo.tobytes() for photo in photos}) == 8
    assert all(photo.std() > 20 for photo in photos)


def test_the_price_of_less_precision_is_the_share_of_answers_that_it_loses(tmp_path: Path) -> None:
    exact = Embedder.load()
    names = ("china.jpg", "flower.jpg", "chelsea.png", "rocket.jpg")
    pictures = {name: (PHOTOS / name).read_bytes() for name in names}
    with open_index(tmp_path / "index", "w", dimension=exact.dimension, embedder=exact.digest) as index:
        index.upsert(list(names), np.stack([exact.embed_photo(pictures[name]).vector for name in names]))
        same = precision_price(index, lambda id, photo: pictures[id], Embedder.load(engine=LITERT), exact, k=2)
        assert same is not None
        assert (same.photos, same.recall) == (4, 1.0)
        assert same.cosine == pytest.approx(1, abs=1e-5)
        worse = precision_price(index, lambda id, photo: pictures[id], _Reversed.load(), exact, k=2)
        assert worse is not None
        assert worse.recall < 1
        assert worse.cosine < 0.9
        assert precision_price(index, lambda id, photo: None, exact, exact) is None


class _Reversed(Embedder):
    """Its vectors are the network's, backwards."""

    def _vectors(self, pixels: np.ndarray) -> np.ndarray:
        return super()._vectors(pixels)[:, ::-1].copy()
