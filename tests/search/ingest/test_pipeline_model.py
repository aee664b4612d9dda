"""Whatever happens to a catalogue, the index after ``add`` is what a plain dictionary says it should be."""

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from lykeion.core import SILENT, digest_bytes
from lykeion.search.embedder import Embedder
from lykeion.search.index import open_index
from lykeion.search.ingest import IngestOptions, add, pipeline

from .tiny import jpeg, write_network

IDS = st.sampled_from(["a", "b", "ü"])
NAMES = st.sampled_from(["1.jpg", "2.jpg", "3.jpg"])
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["price", "stock"]), st.one_of(st.none(), st.integers(0, 3)), max_size=2
) | st.dictionaries(st.just("colour"), st.sampled_from(["red", "blue", None]))
BROKEN = b"\xff\xd8\xff no photo"


@cache
def content(n: int) -> bytes:
    return jpeg(n) if n else BROKEN


@cache
def embedder() -> Embedder:
    with tempfile.TemporaryDirectory() as folder:
        return Embedder.load(write_network(Path(folder) / "tiny.tflite"))


class Catalogue(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}
        self.files: dict[str, int] = {}
        self.photos: dict[tuple[str, str], str] = {}
        self.attributes: dict[str, dict[str, Any]] = {}

    @rule(id=IDS, name=NAMES, attributes=ATTRIBUTES)
    def list_photo(self, id: str, name: str, attributes: dict[str, Any]) -> None:
        self.rows[id, name] = attributes

    @rule(id=IDS, name=NAMES)
    def take_off_the_list(self, id: str, name: str) -> None:
        self.rows.pop((id, name), None)

    @rule(name=NAMES, n=st.integers(0, 3))
    def change_the_file(self, name: str, n: int) -> None:
        self.files[name] = n
        (self.path / name).write_bytes(content(n))

    @rule(sync=st.booleans(), empty=st.sampled_from(["keep", "clear"]), batch=st.sampled_from([1, 2, 256]))
    def add(self, sync: bool, empty: Any, batch: int) -> None:
        rows = [{"id": id, "path": name, **attributes} for (id, name), attributes in self.rows.items()]
        (self.path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
        options = IngestOptions(sync=sync, empty=empty)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pipeline, "BATCH", batch)
            report = add(self.path / "list.jsonl", self.path / "index", options, embedder=embedder(), reporter=SILENT)
        good = {pair for pair in self.rows if self.files.get(pair[1])}
        assert report.failed == len(self.rows) - len(good)
        assert report.added + report.unchanged == len(good)
        for id, name in good:
            self.photos[id, name] = digest_bytes(content(self.files[name]))
        stored = {id for id, _ in self.photos}
        given = {
            (id, name) for (id, _), cells in self.rows.items() for name, cell in cells.items() if cell is not None
        }
        for (id, _), cells in self.rows.items():
            for name, cell in cells.items():
                if id in stored and (cell is not None or empty == "clear" or (id, name) not in given):
                    self.attributes.setdefault(id, {})[name] = cell
        if sync and self.rows:
            self.photos = {pair: digest for pair, digest in self.photos.items() if pair in self.rows}
        stored = {id for id, _ in self.photos}
        self.attributes = {id: values for id, values in self.attributes.items() if id in stored}
        self.check()

    def check(self) -> None:
        photos: dict[tuple[str, str], str] = {}
        attributes: dict[str, dict[str, Any]] = {}
        with_photos = open_index(self.path / "index")
        for rows in with_photos.scan():
            for id, photo, values in zip(rows.ids, rows.photos, rows.attributes, strict=True):
                photos[id, photo.name] = photo.digest
                attributes[id] = values
        with_photos.close()
        assert photos == self.photos
        assert attributes == {
            id: {name: value for name, value in self.attributes.get(id, {}).items() if value is not None}
            for id, _ in self.photos
        }

    def teardown(self) -> None:
        self.folder.cleanup()


TestCatalogue = pytest.mark.timeout(300)(Catalogue.TestCase)
TestCatalogue.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
