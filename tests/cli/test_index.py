"""The ``lykeion index`` commands as a person runs them, on real photos and an index on disk."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from lykeion.cli import main
from lykeion.cli.index import index
from tests.search.ingest.tiny import jpeg, write_network


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("network") / "tiny.tflite")


@pytest.fixture
def run(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``lykeion index …`` in an empty folder, with the tiny network and ``shop.index`` by environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LYKEION_INDEX", "shop.index")
    monkeypatch.setenv("LYKEION_EMBEDDER", str(network))

    def call(*words: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["lykeion", "index", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return call


@pytest.fixture
def shop(run: Run, tmp_path: Path) -> Path:
    """Six products with prices, in a catalogue and an index."""
    (tmp_path / "photos").mkdir()
    rows = ["id,path,price,colour"]
    for n in range(6):
        (tmp_path / "photos" / f"{n}.jpg").write_bytes(jpeg(n))
        rows.append(f"p{n},photos/{n}.jpg,{n}.5,{'red' if n % 2 else 'blue'}")
    (tmp_path / "catalogue.csv").write_text("\n".join(rows))
    assert run("add", "catalogue.csv").code == 0
    return tmp_path


def test_adding_says_what_came_of_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(jpeg(1))
    outcome = run("add", "photos", "--json")
    assert outcome.code == 0
    assert (outcome.json["added"], outcome.json["failed"]) == (1, 0)
    outcome = run("add", "photos")
    assert (outcome.code, outcome.out.partition(";")[0]) == (0, "added 0, unchanged 1")


def test_photos_named_to_be_embedded_again_are_and_a_name_without_photos_gives_exit_code_3(
    run: Run, shop: Path
) -> None:
    outcome = run("add", "catalogue.csv", "--reembed", "photos/1.*", "--reembed", "*2.JPG")
    assert (outcome.code, outcome.out.partition(";")[0]) == (0, "added 2, unchanged 4")
    outcome = run("add", "catalogue.csv", "--reembed", "*.png")
    assert (outcome.code, outcome.out.partition(";")[0]) == (3, "added 0, unchanged 6")
    assert "no photo's name matches '*.png'" in outcome.err


def test_a_bad_photo_gives_exit_code_3_and_a_report(run: Run, shop: Path) -> None:
    (shop / "photos" / "bad.jpg").write_bytes(b"no photo")
    outcome = run("add", "photos", "--failures", "bad.jsonl", "--json")
    assert outcome.code == 3
    assert outcome.json["added"] == 6
    assert outcome.json["failures"] == "bad.jsonl"
    assert "failed: bad.jpg: " in outcome.err
    assert json.loads((shop / "bad.jsonl").read_text())["file"] == "bad.jpg"


def test_a_query_prints_one_json_document_with_the_photo_first(run: Run, shop: Path) -> None:
    outcome = run("query", "photos/3.jpg", "-k", 3, "--json")
    assert outcome.code == 0
    assert outcome.json["query"] == "photos/3.jpg"
    results = outcome.json["results"]
    assert len(results) == 3
    assert results[0] == {
        "id": "p3",
        "score": pytest.approx(1, abs=1e-3),
        "photo": "photos/3.jpg",
        "attributes": {"price": 3.5, "colour": "red"},
    }
    assert results[0]["score"] >= results[1]["score"] >= results[2]["score"]


def test_a_query_by_id_is_filtered_and_leaves_the_product_itself_out(run: Run, shop: Path) -> None:
    results = run("query", "--id", "p3", "--where", "price < 3 and colour = 'blue'", "--json").json["results"]
    assert sorted(hit["id"] for hit in results) == ["p0", "p2"]
    assert "p3" not in {hit["id"] for hit in run("query", "--id", "p3", "--json").json["results"]}


def test_several_queries_are_answered_each(run: Run, shop: Path) -> None:
    queries = run("query", "photos/1.jpg", "photos/2.jpg", "--id", "p4", "-k", 1, "--json").json["queries"]
    assert [(query["query"], len(query["results"])) for query in queries] == [
        ("photos/1.jpg", 1),
        ("photos/2.jpg", 1),
        ("p4", 1),
    ]
    assert [query["results"][0]["id"] for query in queries[:2]] == ["p1", "p2"]


def test_a_box_searches_by_a_part_of_the_photo(run: Run, shop: Path) -> None:
    wide = Image.new("RGB", (192, 96), "white")
    with Image.open(shop / "photos" / "5.jpg") as part:
        wide.paste(part, (96, 0))
    wide.save(shop / "wide.png")
    assert run("query", "wide.png", "--box", "96,0,192,96", "-k", 1, "--json").json["results"][0]["id"] == "p5"


def test_a_query_is_shown_as_a_table_and_drawn_as_a_sheet(run: Run, shop: Path) -> None:
    outcome = run("query", "photos/3.jpg", "--sheet", "out.png")
    assert "p3" in outcome.out
    assert "price 3.5" in outcome.out
    assert outcome.err == "drawn: out.png\n"
    with Image.open(shop / "out.png") as sheet:
        assert sheet.width > 400
    assert run("query", "--id", "p3", "--sheet", "by_id.png", "--json").json["results"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["query", "nothing.jpg"], "nothing.jpg"),
        (["query", "--id", "nobody"], "nobody"),
        (["query", "photos/1.jpg", "--where", "price <"], "character 8"),
        (["query", "photos/1.jpg", "--box", "1,2,3"], "box"),
        (["query", "photos/1.jpg", "--index", "elsewhere"], "elsewhere"),
        (["add", "nowhere"], "nowhere: no such folder or manifest"),
        (["add", "photos", "--shard", "0/4"], "no shard 0/4"),
        (
            ["add", "photos", "--shard-index", "4", "--shard-count", "4"],
            "no shard with the index 4 of 4; the first is 0",
        ),
        (["add", "photos", "--shard-index", "4"], "an index of a shard needs a count"),
        (["add", "photos", "--shard", "1/4", "--shard-index", "0", "--shard-count", "4"], "not both"),
        (["add", "catalogue.csv", "--type", "price=float"], "price=float"),
        (["restore", "nothing"], "nothing"),
        (["restore", "--from", "photos", "--index", "new"], "photos"),
        (["restore", "--from", "shop.index"], "exists"),
        (["merge", "shop.index", "shop.index"], "at least one other"),
        (["snapshot", "--export", "photos"], "photos"),
        (["snapshot", "--drop", "nothing"], "no snapshot 'nothing'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(run: Run, shop: Path, words: list[str], message: str) -> None:
    outcome = run(*words)
    assert outcome.code == 2
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert message in outcome.err
    assert outcome.out == ""


def test_an_index_of_another_embedder_is_refused(run: Run, shop: Path) -> None:
    other = write_network(shop / "other.tflite", seed=2)
    for words in (["query", "photos/1.jpg"], ["add", "photos"]):
        outcome = run(*words, "--embedder", other)
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert "embedder" in outcome.err


def test_products_are_shown_and_deleted_by_id(run: Run, shop: Path) -> None:
    outcome = run("get", "p1", "nobody", "--json")
    assert outcome.code == 3
    assert outcome.json == {
        "products": [{"id": "p1", "photos": ["photos/1.jpg"], "attributes": {"price": 1.5, "colour": "red"}}],
        "missing": ["nobody"],
    }
    assert run("delete", "p1", "p2", "--json") == (0, '{"deleted": 2}\n', "")
    assert run("delete", "p1", "p3").code == 3
    assert run("get", "p1").code == 3
    assert run("stats", "--json").json["products"] == 3


def test_statistics_are_a_table_or_json(run: Run, shop: Path) -> None:
    document = run("stats", "--json").json
    assert (document["products"], document["photos"], document["dimension"]) == (6, 6, 16)
    assert document["columns"] == {"price": "number", "colour": "string"}
    assert "price (number)" in run("stats").out


def test_a_damaged_file_is_named(run: Run, shop: Path) -> None:
    assert run("compact", "--json").code == 0
    assert run("verify") == (0, "no damage found\n", "")
    victim = max(
        (shop / "shop.index" / "segments").rglob("*"), key=lambda path: path.is_file() and path.stat().st_size
    )
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.chmod(0o644)
    victim.write_bytes(data)
    outcome = run("verify", "--json")
    assert outcome.code == 3
    assert any(victim.name in problem for problem in outcome.json["problems"])


def test_a_snapshot_is_gone_back_to(run: Run, shop: Path) -> None:
    assert run("snapshot", "before", "--json").json == {"snapshot": "before", "export": None}
    run("delete", "p1", "p2")
    assert run("restore", "before", "--json").json["products"] == 6
    assert run("get", "p1").code == 0


def test_a_snapshot_is_dropped(run: Run, shop: Path) -> None:
    run("snapshot", "before")
    assert run("snapshot", "--drop", "before", "--json").json["details"]["snapshots"] == []
    assert run("restore", "before").code == 2


def test_an_export_is_restored_elsewhere_with_its_thumbnails(run: Run, shop: Path) -> None:
    assert run("snapshot", "--export", "backup/shop").code == 0
    run("delete", *(f"p{n}" for n in range(6)))
    assert run("restore", "--from", "backup/shop", "--index", "new/shop.index", "--json").json["products"] == 6
    answer = run("query", "photos/4.jpg", "-k", 1, "--index", "new/shop.index", "--json").json
    assert answer["results"][0]["id"] == "p4"
    assert (shop / "new" / "shop.index" / "thumbnails.sqlite").exists()
    assert run("add", "catalogue.csv", "--index", "new/shop.index", "--json").json["unchanged"] == 6


def test_a_damaged_export_is_not_restored(run: Run, shop: Path) -> None:
    run("snapshot", "--export", "backup")
    victim = max((shop / "backup" / "segments").rglob("*"), key=lambda path: path.is_file() and path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.chmod(0o644)
    victim.write_bytes(data)
    outcome = run("restore", "--from", "backup", "--index", "new.index")
    assert outcome.code == 2
    assert "damaged" in outcome.err
    assert not (shop / "new.index").exists()
    assert not list(shop.glob(".new.index*"))


def test_kernels_are_rebuilt(run: Run, shop: Path) -> None:
    assert run("rebuild", "--json").json["products"] == 6
    assert run("query", "photos/2.jpg", "-k", 1, "--json").json["results"][0]["id"] == "p2"


def test_shards_are_merged_into_one_index_that_needs_no_more_embedding(run: Run, shop: Path) -> None:
    shards = ([1, "--shard", "1/2"], [2, "--shard-index", "1", "--shard-count", "2"])
    added = [
        run("add", "catalogue.csv", *shard, "--index", f"part-{n}", "--json").json["added"] for n, *shard in shards
    ]
    assert sum(added) == 6
    assert run("merge", "whole.index", "part-1", "part-2", "--json").json == {"products": 6}
    assert run("merge", "whole.index", "part-1", "part-2", "--json").json == {"products": 6}
    assert run("add", "catalogue.csv", "--index", "whole.index", "--json").json["unchanged"] == 6
    assert run("query", "--id", "p1", "--sheet", "a.png", "--index", "whole.index").code == 0
    assert run("stats", "--index", "part-1", "--json").json["products"] == added[0]


@pytest.mark.slow
def test_an_index_is_copied_to_milvus_and_back(run: Run, shop: Path) -> None:
    pytest.importorskip("milvus_lite")
    milvus = f"milvus:///{shop}/m.db/shop"
    assert run("copy", "shop.index", milvus, "-q", "--json").json == {"products": 6}
    assert run("copy", "shop.index", milvus, "-q", "--json").json == {"products": 6}
    answer = run("query", "photos/4.jpg", "-k", 1, "--index", milvus, "--json").json["results"][0]
    assert (answer["id"], answer["attributes"]) == ("p4", {"price": 4.5, "colour": "blue"})
    assert run("add", "catalogue.csv", "--index", milvus, "-q", "--json").json["unchanged"] == 6
    assert run("copy", milvus, "back.index", "-q", "--json").json == {"products": 6}
    assert run("add", "catalogue.csv", "--index", "back.index", "--json").json["unchanged"] == 6


def test_sync_from_the_command_keeps_the_index_in_step(run: Run, shop: Path) -> None:
    lines = (shop / "catalogue.csv").read_text().splitlines()
    (shop / "catalogue.csv").write_text("\n".join(lines[:4]))
    assert run("add", "catalogue.csv", "--sync", "--json").json["deleted"] == 3
    (shop / "catalogue.csv").write_text(lines[0])
    outcome = run("add", "catalogue.csv", "--sync", "--json")
    assert (outcome.code, outcome.json["deleted"]) == (3, 0)
    assert "nothing was deleted: the source lists no photo at all" in outcome.err


def test_the_answers_are_judged(run: Run, shop: Path) -> None:
    outcome = run("eval", "-k", 3, "--plot", "quality.png", "--json")
    assert outcome.code == 0
    assert outcome.json["measures"]["recall@3"] == 1
    assert (shop / "quality.png").stat().st_size > 1000
    assert "recall@3" in run("eval", "-k", 3, "--truth", "label:colour").out


def test_duplicates_are_grouped(run: Run, shop: Path) -> None:
    (shop / "photos" / "copy.jpg").write_bytes(jpeg(3))
    run("add", "photos", "--index", "doubles")
    outcome = run("duplicates", "--index", "doubles", "--sheet", "doubles.png", "--json", "-q")
    assert [[member["id"] for member in group["members"]] for group in outcome.json["groups"]] == [
        ["3.jpg", "copy.jpg"]
    ]
    assert (shop / "doubles.png").exists()
    text = run("duplicates", "--index", "doubles", "-q").out
    assert "1 group of duplicates" in text
    assert "copy.jpg" in text


def test_a_duplicate_among_several_photos_of_a_product_is_named(run: Run, shop: Path) -> None:
    for name, n in [("a1", 5), ("a2", 6), ("b1", 7), ("b2", 8), ("b3", 6)]:
        (shop / f"{name}.jpg").write_bytes(jpeg(n))
    rows = "".join(f"{name[0]},{name}.jpg\n" for name in ("a1", "a2", "b1", "b2", "b3"))
    (shop / "pairs.csv").write_text(f"id,path\n{rows}")
    run("add", "pairs.csv", "--index", "pairs")
    outcome = run("duplicates", "--index", "pairs", "--json", "-q")
    assert [group["members"] for group in outcome.json["groups"]] == [
        [{"id": "a", "photo": "a2.jpg"}, {"id": "b", "photo": "b3.jpg"}]
    ]


@pytest.fixture
def begun(run: Run, tmp_path: Path) -> subprocess.Popen[str]:
    """A process that adds 1,500 photos, and has written some."""
    (tmp_path / "photos").mkdir()
    photo = jpeg(1)
    for n in range(1500):
        (tmp_path / "photos" / f"{n}.jpg").write_bytes(photo)
    command = [sys.executable, "-c", "from lykeion.cli import main; main()", "index", "add", "photos"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "shop.index" / "thumbnails.sqlite").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_add_keeps_what_is_done_and_goes_on(run: Run, begun: subprocess.Popen[str], stop: int) -> None:
    begun.send_signal(stop)
    _, err = begun.communicate(timeout=60)
    assert begun.returncode == 130
    assert err.splitlines()[-1].startswith("error: stopped: ")
    assert "run the same command again to resume" in err
    kept = run("stats", "--json").json["photos"]
    assert 0 < kept < 1500
    outcome = run("add", "photos", "--json")
    assert (outcome.json["unchanged"], outcome.json["added"]) == (kept, 1500 - kept)


@pytest.mark.slow
def test_a_killed_add_goes_on_where_it_was(run: Run, begun: subprocess.Popen[str]) -> None:
    begun.kill()
    begun.communicate()
    outcome = run("add", "photos", "--json")
    assert outcome.json["unchanged"] + outcome.json["added"] == 1500
    assert run("stats", "--json").json["photos"] == 1500
    assert run("verify").code == 0


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    probe = (
        "import sys; import lykeion.cli.index; "
        "print(*{name.partition('.')[0] for name in sys.modules} "
        "& {'numpy', 'faiss', 'pyarrow', 'PIL', 'httpx', 'rich', 'ai_edge_litert', 'matplotlib', 'sqlite3'})"
    )
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout == "\n"


@pytest.mark.parametrize("command", list(index.commands))
def test_every_command_has_help_with_an_example(run: Run, command: str) -> None:
    outcome = run(command, "--help")
    assert outcome.code == 0
    assert f"lykeion index {command}" in outcome.out.partition("Options:")[0].partition("\n")[2]


def test_one_process_writes_and_the_second_is_told_who(run: Run, shop: Path) -> None:
    from lykeion.search.index import open_index

    with_lock = open_index("shop.index", "w")
    code = "from lykeion.cli import main; main()"
    process = subprocess.run([sys.executable, "-c", code, "index", "add", "photos"], capture_output=True, text=True)
    with_lock.close()
    assert process.returncode == 2
    assert str(os.getpid()) in process.stderr
    assert process.stderr.count("\n") == 1


def test_a_column_is_given_another_type_or_name_or_dropped(run: Run, shop: Path) -> None:
    outcome = run("column", "price", "--retype", "string", "--json")
    assert (outcome.code, outcome.json["columns"]["price"], outcome.json["cleared"]) == (0, "string", 0)
    assert run("column", "price", "--rename", "net price").out == "price is called net price\n"
    assert run("query", "--id", "p0", "--where", "`net price` = '3.5'", "--json").json["results"][0]["id"] == "p3"
    outcome = run("column", "colour", "--retype", "number")
    assert (outcome.code, outcome.out) == (2, "")
    assert "'blue' is not a number, and so have 5 other products" in outcome.err
    outcome = run("column", "colour", "--retype", "number", "--clear")
    assert (outcome.code, outcome.out) == (
        3,
        "colour is of type number; 6 products lost a value that does not fit\n",
    )
    assert run("column", "colour", "--drop").code == 0
    assert run("stats", "--json").json["columns"] == {"net price": "string"}
    assert (
        run("column", "colour", "--drop").err == "error: shop.index has no column 'colour'; its columns: net price\n"
    )


@pytest.mark.parametrize("words", [[], ["--drop", "--rename", "x"], ["--drop", "--clear"], ["--retype", "list"]])
def test_one_thing_about_a_column_is_changed_at_a_time(run: Run, words: list[str]) -> None:
    assert run("column", "price", *words).code == 2


def test_what_is_skipped_is_named_and_a_run_without_a_photo_ends_with_3(run: Run, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "notes.txt").write_text("text")
    outcome = run("add", "photos", "--skipped", "skipped.jsonl")
    assert outcome.code == 3
    assert "skipped: notes.txt: not a photo by its name or its first bytes\n" in outcome.err
    assert "nothing was added: the source lists no photo at all\n" in outcome.err
    assert json.loads(Path("skipped.jsonl").read_text())["file"] == "notes.txt"
    (tmp_path / "photos" / "a.jpg").write_bytes(jpeg(1))
    assert [run("add", "photos").code for _ in range(2)] == [0, 0]


def test_empty_cells_keep_what_another_row_gives_unless_they_are_to_clear_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    (tmp_path / "b.jpg").write_bytes(jpeg(2))
    (tmp_path / "list.csv").write_text("id,path,price\nshoe,a.jpg,3\nshoe,b.jpg,\n")
    run("add", "list.csv")
    assert run("get", "shoe", "--json").json["products"][0]["attributes"] == {"price": 3}
    run("add", "list.csv", "--empty", "clear")
    assert run("get", "shoe", "--json").json["products"][0]["attributes"] == {}
