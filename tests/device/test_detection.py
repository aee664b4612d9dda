"""A detector's boxes are where its objects are, whichever form it comes in and however the photo was cropped."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.core import Unsupported
from lykeion.device.box_layout import boxes_of
from lykeion.device.camera.live_answers import live_answers
from lykeion.device.companion import Companion, read_companion, with_golden
from lykeion.device.errors import RecordError
from lykeion.device.inference.loaded_model import LoadedModel
from lykeion.engines import LiteRTEngine, ModelError
from lykeion.vision import Box, from_rgb, seen_region
from tests.vision.making import card

from .detectors import CARD, LABELS, POST, RAW, detector_with_the_operator, photo, raw_detector
from .networks import GOLDEN
from .offers import Repository

RED, BLUE = (255, 0, 0), (0, 0, 255)
FORMS = {"anchors": (raw_detector(), RAW), "postprocess": (detector_with_the_operator(), POST)}


def detector(form: str, **fields: object) -> LoadedModel:
    model, layout = FORMS[form]
    companion = Companion(replace(CARD, **fields), LABELS, boxes=layout)  # type: ignore[arg-type]
    return LoadedModel(Repository().publish(1, model).target, model, companion.to_bytes())


@pytest.mark.parametrize("form", FORMS)
def test_squares_are_found_where_they_are_with_their_labels(form: str) -> None:
    found = detector(form).detect(photo({(0, 1): RED, (2, 3): BLUE}))
    assert sorted((each.label, each.box) for each in found) == [
        ("blue", Box(60, 21, 80, 31)),
        ("red", Box(20, 1, 40, 11)),
    ]
    assert all(0.99 < each.score <= 1 for each in found)
    assert detector(form).detect(photo({})) == []


@given(st.dictionaries(st.tuples(st.integers(0, 3), st.integers(0, 3)), st.sampled_from([RED, BLUE]), max_size=10))
def test_our_decoding_finds_what_litert_s_own_operator_finds(squares: dict) -> None:
    shown = photo(squares)
    ours, theirs = ({(each.label, each.box): each.score for each in detector(form).detect(shown)} for form in FORMS)
    assert ours.keys() == theirs.keys()
    assert len(ours) == len(squares)
    assert all(ours[each] == pytest.approx(theirs[each], abs=1e-5) for each in ours)


@pytest.mark.parametrize("crop", ["centre", "stretch", "letterbox"])
def test_boxes_are_in_the_photo_however_it_was_cropped(crop: str) -> None:
    rgb = np.zeros((64, 128, 3), np.uint8)
    rgb[:, 32:96] = RED  # whole cells in each of the three
    boxes = [each.box for each in detector("anchors", crop=crop).detect(rgb)]
    assert len(boxes) == {"centre": 16, "stretch": 8, "letterbox": 4}[crop]
    assert (min(each.left for each in boxes), max(each.right for each in boxes)) == (32, 96)
    assert 0 < min(each.top for each in boxes) <= 4  # each is a tenth of its cell too low
    assert max(each.bottom for each in boxes) == 64


@given(st.integers(8, 200), st.integers(8, 200), st.sampled_from(["centre", "stretch", "letterbox"]))
def test_the_region_that_a_network_sees_is_where_its_pixels_come_from(width: int, height: int, crop: str) -> None:
    """A photo whose colour is its coordinate tells where each pixel of the input is from."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    rgb = np.stack([x, y, np.full_like(x, 255)], axis=-1).astype(np.uint8)
    seen = card(crop=crop, width=32, height=32, mean=(0.0, 0.0, 0.0))
    pixels = from_rgb(rgb).pixels(seen).astype(float)
    left, top, right, bottom = seen_region(width, height, seen)
    scale_x, scale_y = (right - left) / 32, (bottom - top) / 32
    column, row = int((width / 2 - left) / scale_x), int((height / 2 - top) / scale_y)  # where the photo's middle is
    middle = pixels[row, column]
    assert middle[0] == pytest.approx(left + (column + 0.5) * scale_x - 0.5, abs=1 + width / 32)
    assert middle[1] == pytest.approx(top + (row + 0.5) * scale_y - 0.5, abs=1 + height / 32)


def test_of_boxes_that_overlap_the_best_of_each_class_is_kept() -> None:
    from lykeion.device.inference.detections import detections

    layout = replace(RAW, anchors=np.array([(0.5, 0.5, 0.5, 0.5), (0.52, 0.5, 0.5, 0.5), (0.5, 0.5, 0.1, 0.1)], "f4"))
    companion = Companion(CARD, LABELS, boxes=layout)
    scores = np.array([[[0, 3, -9], [0, 2, -9], [0, -9, 4]]], np.float32)
    outputs = {"boxes": np.zeros((1, 3, 4), np.float32), "scores": scores}
    assert [each.label for each in detections(companion, outputs, 100, 100, 0.5)] == ["blue", "red"]
    with pytest.raises(ModelError, match="comes with 3 anchors"):
        detections(
            companion, {**outputs, "boxes": np.zeros((1, 3, 4), "f4")[:, :2], "scores": scores[:, :2]}, 9, 9, 0.5
        )


def test_a_detector_is_no_classifier_and_a_classifier_no_detector() -> None:
    with pytest.raises(Unsupported, match="but a detector"):
        detector("anchors").classify(GOLDEN[0])
    model = raw_detector()
    other = LoadedModel(Repository().publish(1, model).target, model, Companion(CARD, LABELS).to_bytes())
    with pytest.raises(Unsupported, match="no detector"):
        other.detect(GOLDEN[0])


@pytest.mark.parametrize("layout", [RAW, POST], ids=["anchors", "postprocess"])
def test_a_layout_is_read_as_it_was_written_and_a_wrong_one_is_refused(layout) -> None:
    model = {RAW: raw_detector, POST: detector_with_the_operator}[layout]()
    card = CARD if layout is RAW else replace(CARD, output="found", dimension=40)
    written = with_golden(Companion(card, LABELS, boxes=layout), GOLDEN, LiteRTEngine(model)).to_bytes()
    read = read_companion(written)
    assert read.boxes
    assert np.array_equal(read.boxes.anchors, layout.anchors)
    assert (read.boxes.outputs, read.boxes.scales) == (layout.outputs, layout.scales)
    assert [each.label for each in read.golden] == [-1, -1]
    plain = layout.to_json()
    for wrong in (
        {"layout": "yolo"},
        {"outputs": {"boxes": "b"}},
        {"more": 1},
        {"anchors": "AAAA"},
        {"scales": [1, 2]},
    ):
        with pytest.raises(RecordError):
            boxes_of({**plain, **wrong}, "boxes.json")


def test_a_live_question_is_about_the_best_box_that_a_detector_finds() -> None:
    class Both:
        """A device with two models."""

        def detect(self, rgb: np.ndarray, *, model: str) -> list:
            return detector(model).detect(rgb)

        def embed(self, rgb: np.ndarray, *, model: str, box: Box | None) -> np.ndarray:
            assert model == "squares"
            return from_rgb(rgb, box=box).rgb.mean(axis=(0, 1))

    frames = [photo({(1, 1): BLUE}), photo({})]
    found = list(live_answers(Both(), frames[:1], "embed", "squares", "anchors"))  # type: ignore[arg-type]
    assert found[0]["box"] == {"left": 20, "top": 11, "right": 40, "bottom": 21}
    assert found[0]["vector"][2] > 200
    assert found[0]["parts_ms"]["detect"] > 0
    (nothing,) = live_answers(Both(), frames[1:], "embed", "squares", "anchors")  # type: ignore[arg-type]
    assert "box" not in nothing
    (seen,) = live_answers(Both(), frames[:1], "detect", "anchors")  # type: ignore[arg-type]
    assert seen["seen"][0]["label"] == "blue"
