"""Every command that writes says in one line, with the path, that a disk is read-only or full, and leaves nothing."""

import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lykeion.cli import main
from tests.mounts import fill, read_only, small_disk
from tests.registry.keys import key_pair
from tests.search.ingest.tiny import jpeg, write_network

WRITES = """
index add photos --index P/new.index
index add more --index P/shop.index
index add more --index a.index --thumbnails P/thumbnails.sqlite
index delete 1.jpg --index P/shop.index
index compact --index P/two.index
index snapshot now --index P/shop.index
index snapshot --export P/export --index shop.index
index restore --from shop.index --index P/restored.index
index rebuild --index P/two.index
index merge P/merged.index shop.index
index copy shop.index P/copy.index
index query photos/1.jpg --index shop.index --sheet P/sheet.png
index eval --index shop.index --plot P/plot.png
models push model shoes:new --store P/store
models push model shoes --store P/new-store
models pull shoes P/out
models copy shoes bags --store P/store
models copy shoes mlflow:P/mlflow
models tag shoes champion --store P/store
models untag shoes:canary --store P/store
models delete shoes --yes --store P/store
models sign shoes --key shop.key --out P/model.sig
images volume model --tag files:v2 --layout P/images
images volume model --tag files:v1 --layout P/new-images
nets show mobilenet-v2-0.5@96 --export P/network.json
nets show mobilenet-v2-0.5@96 --png P/network.png
nets show mobilenet-v2-0.5@96 --export P/deep/network.json
engines convert tiny.tflite P/tiny.onnx
engines bench tiny.tflite --engine litert --out P/bench.json
engines bench tiny.tflite --engine litert --journal P/bench.jsonl
compress pack tiny.tflite --output P/tiny.lyk
""".strip().splitlines()
READS = """
index query photos/1.jpg --index P/shop.index
index get 1.jpg --index P/shop.index
index stats --index P/shop.index
index verify --index P/shop.index
index duplicates --index P/shop.index
index eval --index P/shop.index
models list --store P/store
models verify shoes --store P/store
models pull shoes pulled --store P/store
images list --layout P/images
images show files:v1 --layout P/images
""".strip().splitlines()
LITTLE = ("index rebuild", "models untag", "models delete", "index delete")
"""What writes so little that a full disk may have room for it, in a block that is begun."""


CONTINUED = {"filling", "thumbnails.sqlite", "new-store", "new-images", "mlflow", "deep", "bench.jsonl"}
"""What stays, empty or in part, for the same command to continue with. No index, copy or picture."""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory; ``kept`` has what commands write to."""
    work = tmp_path_factory.mktemp("work")
    for folder, numbers in (("photos", range(12)), ("more", range(12, 30))):
        (work / folder).mkdir()
        for number in numbers:
            (work / folder / f"{number}.jpg").write_bytes(jpeg(number))
    (work / "model").mkdir()
    for file in (work / "tiny.tflite", work / "model" / "tiny.tflite"):
        write_network(file)
    key_pair(work / "shop")
    kept = work / "kept"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        for name in ("LYKEION_STORE", "LYKEION_TRUST", "LYKEION_IMAGES", "LYKEION_INDEX", "LYKEION_REGISTRIES"):
            patch.delenv(name, raising=False)
        patch.setenv("LYKEION_HOME", str(work / "home"))
        patch.setenv("LYKEION_EMBEDDER", "tiny.tflite")
        for words in (
            "index add photos --index shop.index",
            "index add photos --index kept/shop.index",
            "index add photos --index kept/two.index",
            "index snapshot one --index kept/two.index",
            "index add more --index kept/two.index",
            "index snapshot two --index kept/two.index",
            "models push model shoes:canary",
            "models push model shoes:canary --store kept/store",
            "images volume model --tag files:v1 --layout kept/images",
        ):
            assert code_of(words) == 0, words
        yield work
    assert kept.exists()


@pytest.fixture(scope="module")
def frozen(work: Path) -> Iterator[Path]:
    with read_only(work / "kept") as kept:
        yield kept


@pytest.fixture(scope="module")
def full(work: Path) -> Iterator[Path]:
    with small_disk(work / "disk", "8m") as disk:
        shutil.copytree(work / "kept", disk, dirs_exist_ok=True)
        yield disk


def code_of(words: str) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["lykeion", *shlex.split(words)])
        try:
            main()
        except SystemExit as ended:
            return ended.code
    return 0


@pytest.mark.parametrize("words", WRITES)
def test_what_cannot_be_written_is_one_line_with_the_path(
    words: str, frozen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(words.replace("P/", "kept/")) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if line.startswith("error: ")] == said[-1:]
    assert "Read-only file system" in said[-1]
    assert "kept/" in said[-1]


@pytest.mark.parametrize("words", READS)
def test_what_lies_on_a_read_only_mount_is_read(words: str, frozen: Path, tmp_path: Path) -> None:
    assert code_of(words.replace("P/", "kept/").replace("pulled", str(tmp_path / "pulled"))) == 0


@pytest.mark.slow
@pytest.mark.parametrize("words", WRITES)
def test_a_full_disk_is_one_line_with_the_path_and_nothing_is_left_there(
    words: str, full: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name for path in full.iterdir()}
    fill(full)
    code, said = code_of(words.replace("P/", "disk/")), capsys.readouterr().err.splitlines()
    if code == 0 and words.startswith(LITTLE):
        return
    assert code == 2
    assert [line for line in said if line.startswith("error: ")] == said[-1:]
    assert "No space left on device" in said[-1]
    assert "disk/" in said[-1]
    assert {path.name for path in full.iterdir()} - before <= CONTINUED
