"""Photos that networks are judged by: of their classes, normalised as they expect."""

from dataclasses import replace
from pathlib import Path

import pytest

from lykeion.compress import CompressedModel, save
from lykeion.core import SILENT, LykeionError
from lykeion.engines import ModelError
from lykeion.inputs import judging_photos, open_models
from lykeion.nets import Architecture, Convolution, random_weights, write_litert
from lykeion.nets.training import Frame
from tests.nets.training.tiny import write_npz

GREY = Architecture("grey", 8, 8, (Convolution(8, 3, 2),), classes=4, channels=1)


def test_a_run_is_judged_on_its_own_classes_only(tmp_path: Path) -> None:
    write_npz(tmp_path)
    save(CompressedModel(GREY, random_weights(GREY)), tmp_path / "run")
    (tmp_path / "run" / "classes.json").write_text('["d", "c", "b", "a"]')
    with pytest.raises(LykeionError, match=r"class 0 is '0'; .* was trained with 'd'"):
        judging_photos(
            tmp_path / "quadrants.npz", open_models([str(tmp_path / "run")]), None, limit=10, reporter=SILENT
        )


def test_accuracy_is_on_photos_as_the_card_normalises_them(tmp_path: Path) -> None:
    """A network whose answer is its first pixel against the mean of training."""
    write_npz(tmp_path)
    judged = []
    for mean in (127.5, 0.0):
        file = tmp_path / f"m{mean:.0f}.tflite"
        file.write_bytes(write_litert(GREY, random_weights(GREY), output="logits"))
        card = Frame(8, 8, 1, "centre").card(file.stem, "logits", 4)
        file.with_suffix(".json").write_text(replace(card, mean=(mean,)).to_json())
        judged.append(
            judging_photos(tmp_path / "quadrants.npz", open_models([str(file)]), None, limit=10, reporter=SILENT)[0]
        )
    assert [each.mean for each in judged] == [(127.5,), (0.0,)]
    both = open_models([str(tmp_path / "m128.tflite"), str(tmp_path / "m0.tflite")])
    with pytest.raises(ModelError, match="m128 and m0 normalise photos in different ways"):
        judging_photos(tmp_path / "quadrants.npz", both, None, limit=10, reporter=SILENT)
