"""A device that asks a photo search service: by vector where the spaces are one, by photo where it may, else not."""

import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lykeion.core import digest_bytes
from lykeion.device import Device, DeviceSettings, PhotoMustStay, SearchUnavailable
from lykeion.device.companion import Companion
from lykeion.search import Embedder
from lykeion.vision import ModelCard
from tests.device.offers import Repository
from tests.device.updating import take

from .serving import serving

pytestmark = pytest.mark.slow


def device_with(home: Path, network: Path, url: str, *, space: str, photos_may_leave: bool = False) -> Device:
    home.mkdir(exist_ok=True)
    DeviceSettings("http://127.0.0.1:9", search=url, photos_may_leave=photos_may_leave).write(home)
    device = Device(home)
    companion = Companion(ModelCard.for_model(network)).to_bytes()
    repository = Repository()
    offer = repository.publish(1, network.read_bytes(), companion, space=space)
    take(device.slots, repository, offer)
    return device


def served(index: Path, network: Path) -> AbstractContextManager[tuple[subprocess.Popen[str], str]]:
    return serving(index, "--embedder", str(network))


def best(answer: dict) -> str:
    return answer["results"][0]["id"]


def test_a_vector_of_the_indexs_space_finds_what_the_photo_finds(
    index: Path, network: Path, photos: Path, tmp_path: Path
) -> None:
    space = Embedder.load(network).digest
    sent = [photos / f"{number}.jpg" for number in (3, 7, 8)]
    with (
        served(index, network) as (_, url),
        device_with(tmp_path / "device", network, url, space=space) as device,
    ):
        for photo in sent:
            assert best(device.search(photo, k=1)) == f"item-{photo.stem}"
        with Image.open(sent[0]) as image:
            frame = np.asarray(image.convert("RGB"))
        answer = device.search(frame, k=1)
        assert best(answer) == "item-3"
        assert answer["parts_ms"].keys() == {"embed", "ask"}
        assert all(each > 0 for each in answer["parts_ms"].values())
    with device_with(tmp_path / "device", network, url, space=space) as device, pytest.raises(SearchUnavailable):
        device.search(sent[0])


def test_of_another_space_the_photo_is_sent_with_consent_and_nothing_without(
    index: Path, network: Path, photos: Path, tmp_path: Path
) -> None:
    photo = photos / "7.jpg"
    other = digest_bytes(b"another space")
    with served(index, network) as (_, url):
        with device_with(tmp_path / "a", network, url, space=other) as device, pytest.raises(PhotoMustStay):
            device.search(photo)
        with device_with(tmp_path / "b", network, url, space=other, photos_may_leave=True) as device:
            assert best(device.search(photo, k=1)) == f"item-{photo.stem}"


def test_an_index_that_is_of_another_space_by_now_refuses_the_vector(
    index: Path, network: Path, photos: Path, tmp_path: Path
) -> None:
    photo = photos / "7.jpg"
    before = digest_bytes(b"the space of the index before")
    with (
        served(index, network) as (_, url),
        device_with(tmp_path / "device", network, url, space=before) as device,
    ):
        assert device._search
        device._search._space = before  # it was asked before the index was replaced
        with pytest.raises(PhotoMustStay):
            device.search(photo)
        assert device._search.space() == Embedder.load(network).digest
