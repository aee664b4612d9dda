"""What a device says of photos and frames is what the server would say, and a bad version never gets to say it."""

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from lykeion.core import Unsupported
from lykeion.device import Device, DeviceSettings
from lykeion.device.companion import read_companion
from lykeion.device.inference.loaded_model import LoadedModel
from lykeion.device.inference.model_trial import ModelTrial
from lykeion.device.photo_search import PHOTO_SIDE
from lykeion.device.slots.slot_state import CONFIRMING_RUNS
from lykeion.engines import ModelError
from lykeion.search.embedder import Embedder
from lykeion.vision import Box

from .networks import EMBEDDING, GOLDEN, LABELS, LOGITS, PHOTOS, companion, crashing, eating, hanging, network
from .offers import Repository
from .updating import take, version_of

MODEL = network(1)
TARGET = Repository().publish(1, MODEL).target


def test_a_device_and_a_server_give_the_same_vector_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path))
    (tmp_path / "tiny.tflite").write_bytes(MODEL)
    (tmp_path / "tiny.json").write_text(EMBEDDING.to_json())
    server, device = Embedder.load(tmp_path / "tiny.tflite"), LoadedModel(TARGET, MODEL, companion(MODEL))
    for box in (None, Box(40, 30, 300, 200)):
        for photo in (PHOTOS / "china.jpg", PHOTOS / "flower.jpg"):
            assert np.array_equal(device.embed(photo, box), server.embed_photo(photo, box=box).vector)
    assert not np.allclose(device.embed(GOLDEN[0]), device.embed(GOLDEN[1]))


def test_a_frame_is_embedded_as_the_photo_with_its_pixels(tmp_path: Path) -> None:
    device = LoadedModel(TARGET, MODEL, companion(MODEL))
    with Image.open(PHOTOS / "flower.jpg") as photo:
        frame = np.asarray(photo.convert("RGB"))
        photo.convert("RGB").save(tmp_path / "frame.png")
    assert np.array_equal(device.embed(frame), device.embed(tmp_path / "frame.png"))


def test_a_photo_that_leaves_is_upright_and_says_nothing_but_its_pixels() -> None:
    exif, file = Image.Exif(), BytesIO()
    exif[0x0112], exif[0x010E] = 6, "at home"  # on its side, with a description
    with Image.open(PHOTOS / "china.jpg") as photo:
        photo.save(file, "JPEG", exif=exif, comment=b"of me")
    sent = LoadedModel(TARGET, MODEL, companion(MODEL)).decoded(file.getvalue()).thumbnail(PHOTO_SIDE)
    with Image.open(BytesIO(sent)) as seen:
        assert seen.height > seen.width
        assert not seen.getexif()
    assert b"at home" not in sent
    assert b"of me" not in sent


def test_labels_come_best_first_with_the_networks_own_scores() -> None:
    model = network(2, "logits")
    device = LoadedModel(TARGET, model, companion(model, LOGITS, LABELS))
    found = device.classify(PHOTOS / "china.jpg", k=3)
    assert len(found) == 3
    assert sorted((each.score for each in found), reverse=True) == [each.score for each in found]
    assert all(each.label == LABELS[each.index] for each in found)
    with pytest.raises(Unsupported, match="no classifier"):
        LoadedModel(TARGET, MODEL, companion(MODEL)).classify(PHOTOS / "china.jpg")


@pytest.mark.slow
def test_a_sound_version_passes_its_trial_and_all_its_golden_photos() -> None:
    for model, card, labels in ((MODEL, EMBEDDING, ()), (network(2, "logits"), LOGITS, LABELS)):
        report = ModelTrial()(TARGET, model, companion(model, card, labels))
        assert report.photos == len(GOLDEN)
        assert report.speed.run_ms > 0


BAD = pytest.mark.parametrize(
    ("model", "limits", "said"),
    [
        (crashing(), ModelTrial(), r"crashes LiteRT \(SIG"),
        (hanging(), ModelTrial(time_s=3), "take more than 3 s"),
        (eating(), ModelTrial(memory_bytes=600 << 20), "/phone: "),
        (network(7), ModelTrial(), "answers wrongly: golden photo 0: cosine"),
        (b"no model", ModelTrial(), "not a LiteRT model"),
    ],
    ids=["segfaults", "hangs", "eats memory", "answers wrongly but fast", "is no model"],
)


@pytest.mark.slow
@BAD
def test_the_old_version_serves_on_where_the_next_one(
    model: bytes, limits: ModelTrial, said: str, tmp_path: Path
) -> None:
    about, repository = companion(MODEL), Repository()
    DeviceSettings("http://127.0.0.1:9").write(tmp_path)
    with Device(tmp_path) as device:
        take(device.slots, repository, repository.publish(1, MODEL, about))
        before = [device.embed(GOLDEN[0]) for _ in range(CONFIRMING_RUNS)]
        bad = repository.publish(2, model, about)
        state = take(device.slots, repository, bad, lambda offer, *files: limits(offer.target, *files))
        assert version_of(state) == (1, None)
        assert said.partition(" (")[0].replace("\\", "") in state.failed[0].cause
    with Device(tmp_path) as device:
        assert np.array_equal(device.embed(GOLDEN[0]), before[0])


@pytest.mark.slow
@BAD
def test_a_version_fails_its_trial_that(model: bytes, limits: ModelTrial, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        limits(TARGET, model, companion(MODEL))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_model_that_crashes_or_hangs_on_real_photos_alone_fails_too(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = SimpleNamespace(load_ms=0, rough_ms=0, memory_bytes=0)
    monkeypatch.setattr("lykeion.engines.running.try_model", lambda *_, **__: passed)
    golden = read_companion(companion(MODEL))
    loop = replace(golden, card=replace(EMBEDDING, output="y", dimension=768)).to_bytes()
    for model, about, said in ((crashing(), golden.to_bytes(), "crashes"), (hanging(), loop, "takes more than 3 s")):
        with pytest.raises(ModelError, match=f"on its golden photos it {said}"):
            ModelTrial(time_s=3)(TARGET, model, about)
