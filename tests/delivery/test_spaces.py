"""Embedders of classes of devices, in the space of an index that another network's vectors are in."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lykeion import search
from lykeion.core import SILENT, LykeionError
from lykeion.delivery import DeliveryError, IndexSpace, PublishOptions, publish
from lykeion.delivery.device_service import DeviceAdmission, PublishedCatalogue, open_fleet, spaces_in_use
from lykeion.delivery.device_service.fleet_resources.rollout_lookups import _offer
from lykeion.delivery.device_service.records import note_state
from lykeion.delivery.rollouts import OfferedVersion
from lykeion.delivery.targets.space_price import recall_at_k
from lykeion.device import ModelReport, ReportedState
from lykeion.nets import random_weights, write_litert
from lykeion.registry import Publication, Stores
from lykeion.registry import publish as push
from lykeion.vision import embedding_space
from tests.delivery.devices import Clock, TestedDevice
from tests.delivery.fleet import CARD, NETWORK, Fleet

PHOTOS = 60


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    noise = np.random.default_rng(5)
    (tmp_path / "photos").mkdir()
    for number in range(PHOTOS):
        pixels = noise.integers(0, 256, (4, 4), np.uint8)
        Image.fromarray(pixels).resize((32, 32)).save(tmp_path / "photos" / f"{number:02}.png")
    return tmp_path / "photos"


def embedder(directory: Path, noise: float) -> Path:
    """A network of vectors, away from the first one by noise."""
    random = np.random.default_rng(1)
    weights = {
        name: (values + noise * random.standard_normal(values.shape) * np.abs(values).mean()).astype(np.float32)
        for name, values in random_weights(NETWORK).items()
    }
    directory.mkdir()
    (directory / "tiny.tflite").write_bytes(write_litert(NETWORK, weights, output="logits"))
    (directory / "tiny.json").write_text(CARD.to_json())
    return directory / "tiny.tflite"


@pytest.mark.slow
def test_a_variant_is_published_with_its_price_in_the_space_of_the_index(fleet: Fleet, photos: Path) -> None:
    fleet.init()
    reference = embedder(fleet.path / "reference", 0)
    index = str(fleet.path / "shop.index")
    search.add(photos, index, embedder=reference, reporter=SILENT)
    space = embedding_space(reference.read_bytes(), CARD)
    wanted = IndexSpace(index, photos, reference, recall=0.5)
    for number, (noise, least) in enumerate([(0.0, 0), (0.02, 500)], 1):
        file = embedder(fleet.path / f"variant-{number}", noise)
        push(file.parent, "search:champion", Stores(), Publication(), reporter=SILENT)
        options = PublishOptions(fleet.classes({"tiny": file.read_bytes()}), "minimise size_bytes", space=wanted)
        found = publish(fleet.home, "search:champion", options, clock=fleet.clock)
        assert {target.space for target in found.targets} == {space}
        assert all(least <= target.recall_permille < 1_000 for target in found.targets)
        assert all((target.recall_permille == 0) == (noise == 0) for target in found.targets)
    with pytest.raises(DeliveryError, match=r"recall@10 in .* is 0\.\d+, below 1\.000"):
        publish(fleet.home, "search:champion", replace(options, space=replace(wanted, recall=1.0)), clock=fleet.clock)
    third = embedder(fleet.path / "third", 0.1)
    push(third.parent, "search:champion", Stores(), Publication(), reporter=SILENT)
    options = replace(
        options,
        classes=fleet.classes({"tiny": third.read_bytes()}),
        space=replace(wanted, embedder=file),
    )
    with pytest.raises(DeliveryError, match="its vectors are of another embedder"):
        publish(fleet.home, "search:champion", options, clock=fleet.clock)


@pytest.mark.slow
def test_a_version_of_a_space_that_no_index_is_of_is_offered_without_one_until_it_is_there(
    fleet: Fleet, photos: Path
) -> None:
    fleet.init()
    old, new = embedder(fleet.path / "old", 0), embedder(fleet.path / "new", 0.5)
    for file in (old, new):
        push(file.parent, "search:champion", Stores(), Publication(), reporter=SILENT)
        options = PublishOptions(fleet.classes({"tiny": file.read_bytes()}), "minimise size_bytes")
        publish(fleet.home, "search:champion", options, clock=fleet.clock)
    first, second = (str(fleet.path / f"{each}.index") for each in ("old", "new"))
    search.add(photos, first, embedder=old, reporter=SILENT)
    spaces = [embedding_space(each.read_bytes(), CARD) for each in (old, new)]
    catalogue = PublishedCatalogue(fleet.home)

    def lacking(version: str, *indexes: str) -> tuple[str, ...]:
        offer = _offer(catalogue, OfferedVersion("search", version), indexes)
        assert offer
        return offer.without_index

    assert [lacking(each, first) for each in ("v1", "v2")] == [(), (spaces[1],)]
    assert lacking("v2") == ()  # where the server knows of no index
    search.add(photos, second, embedder=new, reporter=SILENT)
    assert lacking("v2", first, second) == ()
    with pytest.raises(LykeionError, match="is not an index"):
        lacking("v2", str(fleet.path / "none.index"))
    with closing(open_fleet(fleet.path / "fleet")) as store:
        admission = DeviceAdmission(store, Clock(1_800_000_000.0))
        for running in (1, 1, 2, 0):
            device = TestedDevice().enrolled(admission).device
            reports = {"search": ModelReport(running, "", "idle")} if running else {}
            note_state(store, device, ReportedState("1", "2.1", {}, reports), 1_800_000_000.0)
        used = [(each.space, each.devices, each.versions) for each in spaces_in_use(store, catalogue)]
    assert used == [(spaces[0], 2, {"search v1"}), (spaces[1], 1, {"search v2"})]


@pytest.mark.slow
def test_without_an_index_an_embedders_space_is_its_own_and_a_classifier_has_none(fleet: Fleet) -> None:
    fleet.init()
    file = embedder(fleet.path / "own", 0)
    push(file.parent, "search:champion", Stores(), Publication(), reporter=SILENT)
    options = PublishOptions(fleet.classes({"tiny": file.read_bytes()}), "minimise size_bytes")
    found = publish(fleet.home, "search:champion", options, clock=fleet.clock)
    assert {target.space for target in found.targets} == {embedding_space(file.read_bytes(), CARD)}
    assert {target.space for target in fleet.publish(1).targets} == {""}


def test_recall_is_the_mean_share_of_true_answers_found() -> None:
    assert recall_at_k([["a", "b"], ["c", "d"], []], [["b", "x"], ["d", "c"], []]) == 0.75
    assert recall_at_k([], []) == 0.0
