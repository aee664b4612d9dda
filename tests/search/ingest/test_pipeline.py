import csv
import json
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lykeion.core import SILENT, Interrupted
from lykeion.search.embedder import Embedder
from lykeion.search.index import EmbedderMismatch, open_index
from lykeion.search.ingest import (
    IngestOptions,
    IngestReport,
    ListedPhoto,
    Shard,
    SourceError,
    add,
    open_source,
)
from lykeion.search.ingest import pipeline as pipeline_module
from lykeion.search.maintenance import column
from lykeion.search.thumbnails import NO_THUMBNAILS, ThumbnailPlace, Thumbnails
from tests.recorder import Recorder

from .tiny import jpeg


class Shop:
    """A folder of photos, a manifest of them, and an index."""

    def __init__(self, path: Path, embedder: Embedder) -> None:
        self.folder, self.index = path / "photos", path / "shop.index"
        self.manifest = self.folder / "catalogue.csv"
        self.embedder = embedder
        self.folder.mkdir()

    def photo(self, name: str, n: int) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True, parents=True)
        (self.folder / name).write_bytes(jpeg(n))

    def write_manifest(self, *rows: dict[str, Any]) -> None:
        names = list(dict.fromkeys(name for row in rows for name in row))
        with self.manifest.open("w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)

    def add(self, source: Any = None, index: Path | None = None, **options: Any) -> IngestReport:
        source = source or (self.manifest if self.manifest.exists() else self.folder)
        return add(source, index or self.index, IngestOptions(**options), embedder=self.embedder, reporter=SILENT)

    def stored(self, index: Path | None = None) -> dict[str, tuple[list[str], dict[str, Any]]]:
        """Photo names and attributes by id."""
        store = open_index(index or self.index)
        found: dict[str, tuple[list[str], dict[str, Any]]] = {}
        for rows in store.scan():
            for id, photo, attributes in zip(rows.ids, rows.photos, rows.attributes, strict=True):
                found.setdefault(id, ([], attributes))[0].append(photo.name)
        store.close()
        return {id: (sorted(names), attributes) for id, (names, attributes) in found.items()}

    def counts(self, report: IngestReport) -> dict[str, int]:
        names = ("added", "unchanged", "updated", "failed", "deleted")
        return {name: getattr(report, name) for name in names if getattr(report, name)}


@pytest.fixture
def shop(tmp_path: Path, embedder: Embedder) -> Shop:
    return Shop(tmp_path, embedder)


def test_who_is_handed_in_hears_of_each_photo(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    for n in range(3):
        shop.photo(f"{n}.jpg", n)
    heard = Recorder()
    add(shop.folder, shop.index, embedder=shop.embedder, reporter=heard)
    [piece] = heard.pieces
    assert (piece.title, piece.unit, piece.done, piece.total, piece.ended) == ("adding", "photos", 3, 3, True)
    assert capfd.readouterr().err == ""


def test_a_folder_becomes_an_index_that_finds_its_photos(shop: Shop) -> None:
    for n in range(5):
        shop.photo(f"shoes/{n}.jpg", n)
    report = shop.add()
    assert shop.counts(report) == {"added": 5}
    index = open_index(shop.index)
    for n in range(5):
        vector = shop.embedder.embed_photo(jpeg(n)).vector
        ((best, *_),) = index.search(vector[None], 3)
        assert (best.id, round(best.score, 3)) == (f"shoes/{n}.jpg", 1.0)
    index.close()


def test_running_again_embeds_nothing_and_a_changed_photo_alone_is_embedded_again(shop: Shop) -> None:
    for n in range(4):
        shop.photo(f"{n}.jpg", n)
    shop.add()
    assert shop.counts(shop.add()) == {"unchanged": 4}
    shop.photo("2.jpg", 20)
    shop.photo("new.jpg", 30)
    assert shop.counts(shop.add()) == {"added": 2, "unchanged": 3}
    index = open_index(shop.index)
    ((best,),) = index.search(shop.embedder.embed_photo(jpeg(20)).vector[None], 1)
    assert best.id == "2.jpg"
    index.close()


def test_photos_can_be_embedded_again_by_name_and_only_those_are(shop: Shop) -> None:
    shop.photo("shoes/A.JPG", 0)
    shop.photo("bags/b.jpg", 1)
    shop.add()
    wrong = shop.embedder.embed_photo(jpeg(7))  # as if they had been decoded wrongly
    index = open_index(shop.index, "w")
    index.upsert(
        ["shoes/A.JPG", "bags/b.jpg"],
        np.stack([wrong.vector] * 2),
        photos=[product.photos[0] for product in index.get(["shoes/A.JPG", "bags/b.jpg"]) if product],
    )
    index.close()
    assert shop.counts(shop.add(reembed=["SHOES*.jpg"])) == {"added": 1, "unchanged": 1}
    index = open_index(shop.index)
    ((best,),) = index.search(shop.embedder.embed_photo(jpeg(0)).vector[None], 1)
    assert (best.id, round(best.score, 3)) == ("shoes/A.JPG", 1.0)
    ((best,),) = index.search(wrong.vector[None], 1)
    assert (best.id, round(best.score, 3)) == ("bags/b.jpg", 1.0)
    index.close()
    assert shop.counts(shop.add(reembed=["*"])) == {"added": 2}


def test_a_pattern_that_no_photo_matches_is_reported(shop: Shop) -> None:
    shop.photo("a.jpg", 0)
    report = shop.add(reembed=["*.pgn", "a*"])
    assert report.not_reembedded == ["*.pgn"]
    assert report.complaints() == ["no photo's name matches '*.pgn'"]


def test_changed_attributes_are_written_without_embedding_and_others_stay(shop: Shop) -> None:
    for n in range(3):
        shop.photo(f"{n}.jpg", n)
    rows = [{"id": str(n), "path": f"{n}.jpg", "price": n, "colour": "red"} for n in range(3)]
    shop.write_manifest(*rows)
    shop.add()
    shop.write_manifest(
        *({"id": str(n), "path": f"{n}.jpg", "price": 10 if n == 1 else n, "sold": "true"} for n in range(3))
    )
    assert shop.counts(shop.add()) == {"unchanged": 3, "updated": 3}
    assert shop.stored()["1"] == (["1.jpg"], {"price": 10, "colour": "red", "sold": True})
    assert shop.counts(shop.add()) == {"unchanged": 3}


def test_an_empty_cell_clears_an_attribute(shop: Shop) -> None:
    shop.photo("a.jpg", 1)
    shop.write_manifest({"id": "a", "path": "a.jpg", "price": 3, "colour": "red"})
    shop.add()
    shop.write_manifest({"id": "a", "path": "a.jpg", "price": "", "colour": "red"})
    source = open_source(shop.manifest, types={"price": "integer"})
    assert shop.counts(shop.add(source)) == {"unchanged": 1, "updated": 1}
    assert shop.stored() == {"a": (["a.jpg"], {"colour": "red"})}


@pytest.mark.parametrize("batch", [1, 2, 3, 256])
def test_an_empty_cell_beside_a_filled_one_of_the_same_run_keeps_it(
    shop: Shop, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_module, "BATCH", batch)
    for n in range(6):
        shop.photo(f"{n}.jpg", n)
    shop.write_manifest(
        {"id": "a", "path": "0.jpg", "price": 3, "brand": "Acme", "colour": "red"},
        {"id": "a", "path": "1.jpg"},
        {"id": "b", "path": "2.jpg", "price": 8},
        {"id": "c", "path": "3.jpg"},
        {"id": "a", "path": "4.jpg", "colour": "blue"},
        {"id": "c", "path": "5.jpg", "price": 5, "brand": "Brand"},
    )
    wanted = {
        "a": {"price": 3, "brand": "Acme", "colour": "blue"},
        "b": {"price": 8},
        "c": {"price": 5, "brand": "Brand"},
    }
    for _ in range(2):
        shop.add()
        assert {id: attributes for id, (_, attributes) in shop.stored().items()} == wanted


@pytest.mark.parametrize("batch", [1, 2, 256])
def test_an_attribute_that_no_row_of_its_product_gives_any_more_is_cleared(
    shop: Shop, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_module, "BATCH", batch)
    for n in range(4):
        shop.photo(f"{n}.jpg", n)
    rows = [{"id": "ab"[n % 2], "path": f"{n}.jpg", "price": 3 + n, "brand": "Acme"} for n in range(4)]
    shop.write_manifest(*rows)
    shop.add()
    shop.write_manifest(*({**row, "price": "", "brand": "" if n < 2 else "New"} for n, row in enumerate(rows)))
    types: Any = {"price": "integer"}
    assert shop.counts(shop.add(open_source(shop.manifest, types=types))) == {"unchanged": 4, "updated": 2}
    assert {id: attributes for id, (_, attributes) in shop.stored().items()} == {
        "a": {"brand": "New"},
        "b": {"brand": "New"},
    }


@pytest.mark.parametrize("batch", [1, 2, 256])
def test_a_row_whose_photo_fails_gives_its_attributes_to_a_product_that_is_stored_later(
    shop: Shop, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_module, "BATCH", batch)
    shop.photo("2.jpg", 2)
    shop.write_manifest(
        {"id": "a", "path": "none.jpg", "price": 3, "colour": "red"},
        {"id": "b", "path": "none.jpg", "price": 4, "colour": "red"},
        {"id": "a", "path": "2.jpg", "colour": "blue"},
    )
    assert shop.counts(shop.add()) == {"added": 1, "failed": 2}
    assert shop.stored() == {"a": (["2.jpg"], {"price": 3, "colour": "blue"})}


def test_with_empty_clear_the_last_row_wins_also_with_nothing_in_it(shop: Shop) -> None:
    for n in range(2):
        shop.photo(f"{n}.jpg", n)
    shop.write_manifest({"id": "a", "path": "0.jpg", "price": 3}, {"id": "a", "path": "1.jpg"})
    shop.add(empty="clear")
    assert shop.stored() == {"a": (["0.jpg", "1.jpg"], {})}


def test_an_empty_cell_clears_only_in_its_shard(shop: Shop) -> None:
    for n in range(8):
        shop.photo(f"{n}.jpg", n)
    shop.write_manifest(*({"id": n, "path": f"{n}.jpg", "price": 3} for n in range(8)))
    shop.add()
    shop.write_manifest(*({"id": n, "path": f"{n}.jpg", "price": ""} for n in range(8)))
    shop.add(open_source(shop.manifest, types={"price": "integer"}), shard=Shard(1, 2))
    kept = {id for id, (_, attributes) in shop.stored().items() if attributes}
    assert kept == {str(n) for n in range(8) if Shard(2, 2).holds(str(n))}
    assert 0 < len(kept) < 8


def test_the_state_is_the_same_whether_a_photo_changed_or_not(shop: Shop) -> None:
    shop.photo("a.jpg", 1)
    shop.write_manifest({"id": "a", "path": "a.jpg", "colour": "red"})
    shop.add()
    shop.photo("a.jpg", 2)
    shop.write_manifest({"id": "a", "path": "a.jpg", "price": 3})
    assert shop.counts(shop.add()) == {"added": 1}
    assert shop.stored() == {"a": (["a.jpg"], {"colour": "red", "price": 3})}


def test_rows_of_one_id_are_one_product_with_several_photos(shop: Shop) -> None:
    for n in range(3):
        shop.photo(f"{n}.jpg", n)
    shop.write_manifest(*({"id": "shoe", "path": f"{n}.jpg", "price": n} for n in range(3)))
    assert shop.counts(shop.add()) == {"added": 3}
    assert shop.stored() == {"shoe": (["0.jpg", "1.jpg", "2.jpg"], {"price": 2})}
    assert shop.counts(shop.add()) == {"unchanged": 3}


def test_the_last_row_of_a_product_wins_also_over_batches(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "BATCH", 2)
    for n in range(9):
        shop.photo(f"{n}.jpg", n)
    shop.write_manifest(*({"id": "shoe", "path": f"{n}.jpg", "price": n} for n in range(9)))
    for _ in range(2):
        shop.add()
        assert shop.stored()["shoe"][1] == {"price": 8}


def test_a_bad_photo_stops_nothing_and_is_reported_with_its_cause(shop: Shop) -> None:
    shop.photo("good.jpg", 1)
    (shop.folder / "empty.jpg").touch()
    (shop.folder / "text.jpg").write_text("no photo")
    (shop.folder / "cut.jpg").write_bytes(jpeg(2)[:700])
    shop.write_manifest(
        *({"id": name, "path": f"{name}.jpg"} for name in ("empty", "text", "good", "cut", "nothing"))
    )
    report = shop.add()
    assert shop.counts(report) == {"added": 1, "failed": 4}
    assert list(shop.stored()) == ["good"]
    lines = [json.loads(line) for line in Path(report.failures).read_text().splitlines()]
    assert report.failures == f"{shop.index}.failures.jsonl"
    assert {line["id"]: line["file"] for line in lines} == {
        name: f"{name}.jpg" for name in ("empty", "text", "cut", "nothing")
    }
    assert all(line["cause"] and "\n" not in line["cause"] for line in lines)
    assert next(line["cause"] for line in lines if line["id"] == "nothing") == "No such file or directory"


def test_every_listed_photo_counts_once_whatever_befalls_it(shop: Shop) -> None:
    for n in range(4):
        shop.photo(f"{n}.jpg", n)
    manifest = shop.folder / "a.jsonl"
    rows = [{"id": n, "path": f"{n}.jpg", "price": n} for n in range(4)]
    manifest.write_text("\n".join(map(json.dumps, rows)))
    shop.add(manifest)
    (shop.folder / "1.jpg").write_bytes(b"")
    shop.photo("2.jpg", 20)
    rows += [{"id": 4}, {"id": 5, "path": "none.jpg"}]
    for row in rows[:3]:
        row["price"] = "dear"
    manifest.write_text("\n".join(map(json.dumps, rows)))
    heard = Recorder()
    report = add(manifest, shop.index, embedder=shop.embedder, reporter=heard)
    assert shop.counts(report) == {"unchanged": 1, "failed": 5}
    assert len(Path(report.failures).read_text().splitlines()) == 5
    assert [(progress.done, progress.total) for progress in heard.pieces] == [(6, 6)]


def test_what_is_skipped_is_named_the_first_ten_in_the_report_and_all_in_a_file(shop: Shop) -> None:
    shop.photo("a.jpg", 1)
    for n in range(12):
        (shop.folder / f"{n}.txt").write_text("text")
    listing = shop.index.with_name("skipped.jsonl")
    report = shop.add(skipped=listing)
    assert (report.added, report.skipped) == (1, 12)
    lines = [json.loads(line) for line in listing.read_text().splitlines()]
    assert sorted(line["file"] for line in lines) == sorted(f"{n}.txt" for n in range(12))
    assert {line["cause"] for line in lines} == {"not a photo by its name or its first bytes"}
    assert [entry.file for entry in report.first_skipped] == [line["file"] for line in lines[:10]]
    assert report.complaints()[-1] == f"all 12 that were skipped are listed in {listing}"
    assert shop.add().complaints()[-1] == "2 more were skipped; --skipped FILE lists all"


def test_a_run_that_finds_no_photo_says_so(shop: Shop) -> None:
    (shop.folder / "notes.txt").write_text("text")
    report = shop.add()
    assert report.complaints()[-1] == "nothing was added: the source lists no photo at all"
    assert not report.complete
    shop.photo("a.jpg", 1)
    parts = [shop.add(index=shop.index.with_name(f"part-{n}"), shard=Shard(n, 2)) for n in (1, 2)]
    assert sorted(part.added for part in parts) == [0, 1]
    assert all(part.complete for part in parts)
    assert shop.add().complete
    assert shop.add().complete


def test_photos_by_odd_names_do_not_make_progress_pass_its_total(shop: Shop) -> None:
    for n in range(3):
        shop.photo(f"photo-{n}", n)
    shop.photo("a.jpg", 4)
    heard = Recorder()
    add(shop.folder, shop.index, embedder=shop.embedder, reporter=heard)
    assert [(progress.done, progress.total) for progress in heard.pieces] == [(4, 4)]


def test_a_report_of_earlier_failures_does_not_stay_when_all_is_well(shop: Shop) -> None:
    (shop.folder / "a.jpg").touch()
    report = shop.add()
    assert Path(report.failures).exists()
    shop.photo("a.jpg", 1)
    assert shop.add().failures == ""
    assert not Path(report.failures).exists()


def test_a_photo_that_went_bad_keeps_its_vector_and_takes_its_new_price(shop: Shop) -> None:
    shop.photo("a.jpg", 1)
    shop.write_manifest({"id": "a", "path": "a.jpg", "price": 1})
    shop.add()
    (shop.folder / "a.jpg").write_bytes(b"")
    shop.write_manifest({"id": "a", "path": "a.jpg", "price": 2})
    assert shop.counts(shop.add(sync=True)) == {"failed": 1, "updated": 1}
    assert shop.stored() == {"a": (["a.jpg"], {"price": 2})}


def test_a_value_that_conflicts_with_its_column_fails_alone(shop: Shop) -> None:
    for n in range(3):
        shop.photo(f"{n}.jpg", n)
    manifest = shop.folder / "a.jsonl"
    prices: list[Any] = [1, "cheap", 3]
    manifest.write_text("\n".join(json.dumps({"id": n, "path": f"{n}.jpg", "price": prices[n]}) for n in range(3)))
    report = shop.add(manifest)
    assert shop.counts(report) == {"added": 2, "failed": 1}
    assert "price" in report.first_failures[0].cause
    assert sorted(shop.stored()) == ["0", "2"]
    prices[0] = "dear"
    manifest.write_text("\n".join(json.dumps({"id": n, "path": f"{n}.jpg", "price": prices[n]}) for n in range(3)))
    report = shop.add(manifest)
    assert shop.counts(report) == {"unchanged": 1, "failed": 2}
    assert shop.stored()["0"] == (["0.jpg"], {"price": 1})


def test_a_photo_whose_vector_has_no_direction_fails_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        shop.photo(f"{n}.jpg", n)
    real = shop.embedder.embed_photo

    def black(source: Any, *, name: str = "", **options: Any) -> Any:
        embedded = real(source, name=name, **options)
        return replace(embedded, vector=embedded.vector * 0) if name == "1.jpg" else embedded

    monkeypatch.setattr(shop.embedder, "embed_photo", black)
    report = shop.add()
    assert shop.counts(report) == {"added": 2, "failed": 1}
    assert "all zeros and has no direction" in report.first_failures[0].cause


def test_a_report_of_failures_can_quote_what_utf8_cannot_write(shop: Shop) -> None:
    shop.photo("a.jpg", 1)
    manifest = shop.folder / "a.jsonl"
    manifest.write_text('{"id": "a", "path": "a.jpg", "\\ud800": {}}\n{"id": "\\udfff", "path": "a.jpg"}\n')
    report = shop.add(manifest, sync=True)
    lines = [json.loads(line) for line in Path(report.failures).read_text().splitlines()]
    assert [line["cause"][:6] for line in lines] == ["\ud800: an ", "the id"]


def test_a_column_that_became_text_is_mended_and_then_takes_the_corrected_file(shop: Shop) -> None:
    for n in range(3):
        shop.photo(f"{n}.jpg", n)
    shop.write_manifest(*({"id": n, "path": f"{n}.jpg", "price": ["9", "12,50", "3.5"][n]} for n in range(3)))
    heard = Recorder()
    report = add(shop.manifest, shop.index, embedder=shop.embedder, reporter=heard)
    assert heard.notices == report.warnings
    assert "price is read as text" in heard.notices[0]
    shop.write_manifest(*({"id": n, "path": f"{n}.jpg", "price": [9, 12.5, 3.5][n]} for n in range(3)))
    declared = open_source(shop.manifest, types={"price": "number"})
    with pytest.raises(SourceError, match="lykeion index column price --retype number"):
        shop.add(declared, sync=True)
    assert column(shop.index, "price", retype="number", clear=True) == 1
    assert shop.counts(shop.add(declared, sync=True)) == {"unchanged": 3, "updated": 1}
    assert [attributes["price"] for _, (_, attributes) in sorted(shop.stored().items())] == [9.0, 12.5, 3.5]


def test_a_fault_of_a_library_stops_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        shop.photo(f"{n}.jpg", n)
    real = shop.embedder.embed_photo

    def faulty(source: Any, *, name: str = "", **options: Any) -> Any:
        if name == "1.jpg":
            raise ZeroDivisionError("in some\nlibrary")
        return real(source, name=name, **options)

    monkeypatch.setattr(shop.embedder, "embed_photo", faulty)
    report = shop.add()
    assert shop.counts(report) == {"added": 2, "failed": 1}
    assert report.first_failures[0].cause == "ZeroDivisionError: in some library"


def test_sync_deletes_products_and_photos_that_are_no_longer_listed(shop: Shop) -> None:
    for n in range(6):
        shop.photo(f"{n}.jpg", n)
    shop.write_manifest(*({"id": "shoe" if n < 3 else str(n), "path": f"{n}.jpg"} for n in range(6)))
    shop.add()
    shop.write_manifest(*({"id": "shoe" if n < 3 else str(n), "path": f"{n}.jpg"} for n in (0, 2, 4)))
    assert shop.counts(shop.add()) == {"unchanged": 3}
    assert shop.counts(shop.add(sync=True)) == {"unchanged": 3, "deleted": 3}
    assert {id: names for id, (names, _) in shop.stored().items()} == {"shoe": ["0.jpg", "2.jpg"], "4": ["4.jpg"]}
    small = Thumbnails(shop.index / "thumbnails.sqlite")
    assert small.get("shoe", "0.jpg")
    assert small.get("shoe", "1.jpg") is None
    assert small.get("3") is None


def test_sync_deletes_nothing_when_the_source_is_empty_or_could_not_be_read_whole(shop: Shop) -> None:
    shop.photo("a.jpg", 1)
    shop.photo("b.jpg", 2)
    shop.add()
    shop.manifest.write_text("id,path\n")
    report = shop.add(shop.manifest, sync=True)
    assert (report.deleted, report.not_synced) == (0, "the source lists no photo at all")
    shop.manifest.write_text("id,path\na.jpg,a.jpg\nb.jpg\n")
    report = shop.add(shop.manifest, sync=True)
    assert (report.deleted, report.not_synced) == (0, "1 entry of the source could not be read")
    shop.manifest.write_text('id,path\na.jpg,a.jpg\n"b.jpg,b.jpg\n')
    with pytest.raises(SourceError):
        shop.add(shop.manifest, sync=True)
    assert sorted(shop.stored()) == ["a.jpg", "b.jpg"]


def test_shards_together_hold_the_catalogue_and_sync_keeps_to_its_shard(shop: Shop) -> None:
    for n in range(20):
        shop.photo(f"{n}.jpg", n)
    parts = [shop.index.with_name(f"part-{number}") for number in (1, 2, 3)]
    reports = [shop.add(index=part, shard=Shard(number, 3)) for number, part in enumerate(parts, 1)]
    assert sum(report.added for report in reports) == 20
    assert sorted(id for part in parts for id in shop.stored(part)) == sorted(f"{n}.jpg" for n in range(20))
    shop.add()
    for n in range(10):
        (shop.folder / f"{n}.jpg").unlink()
    mine = [f"{n}.jpg" for n in range(10) if Shard(2, 3).holds(f"{n}.jpg")]
    assert shop.add(shard=Shard(2, 3), sync=True).deleted == len(mine)
    assert sorted(shop.stored()) == sorted({f"{n}.jpg" for n in range(20)} - set(mine))


class Endless:
    """A source without end that asks for a stop on its way."""

    def __init__(self, path: Path, at: int) -> None:
        self.path, self.at, self.given = path, at, 0

    def __iter__(self) -> Iterator[ListedPhoto]:
        while True:
            if self.given == self.at:
                os.kill(os.getpid(), signal.SIGINT)
            self.given += 1
            yield ListedPhoto(str(self.given), "", self.path)

    def fit(self, columns: object) -> list[str]:
        return []

    def count(self) -> int:
        return 0


def test_an_interrupt_keeps_what_is_done_and_says_how_to_go_on(shop: Shop) -> None:
    shop.photo("a.jpg", 1)
    before = signal.getsignal(signal.SIGINT)
    source = Endless(shop.folder / "a.jpg", 1000)
    with pytest.raises(Interrupted, match="run the same command again to resume") as caught:
        shop.add(source, sync=True)
    assert signal.getsignal(signal.SIGINT) is before
    assert caught.value.exit_code == 130
    kept = len(shop.stored())
    assert f"{kept:,} photos were added" in str(caught.value)
    assert 256 <= kept <= 1000


def test_no_more_than_a_few_batches_are_in_flight(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.photo("a.jpg", 1)
    monkeypatch.setattr(pipeline_module, "BATCH", 8)
    source = Endless(shop.folder / "a.jpg", 200)
    ahead = []

    def embed(*args: Any, **options: Any) -> Any:
        ahead.append(source.given - len(ahead))
        return real(*args, **options)

    real = shop.embedder.embed_photo
    monkeypatch.setattr(shop.embedder, "embed_photo", embed)
    with pytest.raises(Interrupted):
        shop.add(source)
    assert max(ahead) <= 8 * 3


def test_it_works_in_a_thread_that_gets_no_signals(shop: Shop) -> None:
    shop.photo("a.jpg", 1)
    reports: list[IngestReport] = []
    thread = threading.Thread(target=lambda: reports.append(shop.add()))
    thread.start()
    thread.join()
    assert reports[0].added == 1


def test_thumbnails_are_kept_unless_they_are_not_wanted(shop: Shop) -> None:
    shop.photo("a.jpg", 1)
    shop.add()
    assert (Thumbnails(shop.index / "thumbnails.sqlite").get("a.jpg") or b"").startswith(b"\xff\xd8")
    shop.add(index=shop.index.with_name("without"), thumbnails=NO_THUMBNAILS)
    assert not (shop.index.with_name("without") / "thumbnails.sqlite").exists()
    elsewhere = shop.index.with_name("elsewhere.sqlite")
    shop.add(index=shop.index.with_name("with"), thumbnails=ThumbnailPlace(elsewhere))
    assert Thumbnails(elsewhere).get("a.jpg")


def test_an_index_of_another_embedder_is_refused_and_left_as_it_is(shop: Shop) -> None:
    shop.photo("a.jpg", 1)
    open_index(shop.index, "w", dimension=shop.embedder.dimension, embedder="sha256:other").close()
    with pytest.raises(EmbedderMismatch, match="holds vectors of the embedder sha256:other"):
        shop.add()
    assert shop.stored() == {}


def test_photos_by_url_are_taken_like_files(shop: Shop) -> None:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    for n in range(40):
        shop.photo(f"{n}.jpg", n)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=shop.folder))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        shop.write_manifest(*({"id": n, "url": f"{address}/{n}.jpg"} for n in range(40)))
        assert shop.counts(shop.add()) == {"added": 40}
        shop.photo("7.jpg", 70)
        assert shop.counts(shop.add()) == {"added": 1, "unchanged": 39}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert shop.stored()["7"] == ([f"{address}/7.jpg"], {})


def test_a_photo_by_url_that_cannot_be_had_fails_alone(shop: Shop) -> None:
    shop.photo("a.jpg", 1)
    shop.write_manifest({"id": "a", "photo": "a.jpg"}, {"id": "b", "photo": "http://127.0.0.1:1/b.jpg"})
    report = shop.add()
    assert shop.counts(report) == {"added": 1, "failed": 1}
    assert report.first_failures[0].file == "http://127.0.0.1:1/b.jpg"


def test_a_pipe_in_a_manifest_does_not_block(shop: Shop) -> None:
    os.mkfifo(shop.folder / "pipe.jpg")
    shop.write_manifest({"id": "a", "path": "pipe.jpg"}, {"id": "b", "path": "."})
    assert [failure.cause for failure in shop.add().first_failures] == ["not a file", "not a file"]
