"""Devices that search over their gateway: by vector and photo, in parts, until they cancel."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lykeion.device.conversation import AnswerFrame, CancelFrame, QueryFrame
from lykeion.search import Embedder
from tests.delivery.conversing import GatewayProcess, SocketDevice
from tests.delivery.fleet import Fleet

pytestmark = pytest.mark.slow


@pytest.fixture
def device(index: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SocketDevice]:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    fleet = Fleet(tmp_path)
    fleet.init()
    options = ("--index", str(index), "--embedder", str(network))
    gateway = GatewayProcess(fleet.home, tmp_path / "fleet", options)
    gateway.start()
    made = SocketDevice(gateway)
    made.enrol(gateway.token(1))
    made.connect()
    yield made
    assert gateway.stop() == 0


def answered(device: SocketDevice, query: QueryFrame) -> list[dict]:
    device.say(query)
    device.until(lambda: any(each.id == query.id and each.last for each in device.of(AnswerFrame)))
    parts = [each for each in device.of(AnswerFrame) if each.id == query.id]
    assert [each.part for each in parts] == list(range(len(parts)))
    return [each.body for each in parts]


def test_a_device_is_answered_by_vector_and_by_photo_and_refused_by_the_name_of_another_space(
    device: SocketDevice, network: Path, photos: Path
) -> None:
    embedder = Embedder.load(str(network))
    photo = (photos / "3.jpg").read_bytes()
    vector = embedder.embed_photo(photo).vector.astype("<f4").tobytes()
    by_vector = answered(device, QueryFrame(1, {"vector": vector, "space": embedder.digest, "k": 8}))
    assert len(by_vector) == 2
    assert by_vector[0]["results"][0]["id"] == "item-3"
    by_photo = answered(device, QueryFrame(2, {"photo": photo, "k": 3, "where": "category = 'bag'"}))
    assert {each["attributes"]["category"] for each in by_photo[0]["results"]} == {"bag"}
    (other,) = answered(device, QueryFrame(3, {"vector": vector, "space": "sha256:other", "k": 8}))
    assert embedder.digest[:16] in other["error"]
    for number, wrong in enumerate(({}, {"vector": b"abc", "space": ""}, {"photo": "no bytes"}, None, [1]), 4):
        (said,) = answered(device, QueryFrame(number, wrong))
        assert "error" in said


def test_what_was_cancelled_is_not_answered_and_others_are(device: SocketDevice, photos: Path) -> None:
    photo = (photos / "3.jpg").read_bytes()
    device.say(QueryFrame(1, {"photo": photo, "k": 200}), CancelFrame(1))
    answered(device, QueryFrame(2, {"photo": photo, "k": 1}))
    assert [each.id for each in device.of(AnswerFrame)] == [2]
