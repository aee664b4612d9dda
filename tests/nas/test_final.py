from pathlib import Path

import numpy as np
import pytest

from lykeion.core import SILENT
from lykeion.nas import SearchError, train_final
from lykeion.nas.runs.final import correct_on_test, time_networks

from .strategies import tiny


def test_a_final_training_is_done_once_and_judged_photo_by_photo(tmp_path: Path) -> None:
    space, data = tiny.space(), tiny.data(tmp_path)
    architecture = space.architecture(tuple(slot.choices[0] for slot in space.slots))
    trained = train_final(architecture, data, tiny.recipe(steps=8), tmp_path / "run", reporter=SILENT)
    assert trained.cost.steps == 8
    assert train_final(architecture, data, tiny.recipe(steps=8), tmp_path / "run", reporter=SILENT) == trained
    with pytest.raises(SearchError, match="holds a final training by other settings"):
        train_final(architecture, data, tiny.recipe(steps=9), tmp_path / "run", reporter=SILENT)
    right = correct_on_test(data, tmp_path / "run")
    assert (right.dtype, right.shape) == (np.dtype(bool), (len(data.test),))


def test_whole_networks_are_timed_in_turns(tmp_path: Path) -> None:
    space = tiny.space()
    small, large = (tuple(slot.choices[place] for slot in space.slots) for place in (0, 5))
    networks = {"small": space.architecture(small), "large": space.architecture(large)}
    timings = time_networks(networks, 1, tmp_path / "journal.jsonl", reporter=SILENT)
    assert timings["small"].minimum_ms < timings["large"].minimum_ms
