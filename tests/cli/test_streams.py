"""Standard streams that are closed, full, broken or of another locale: never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMAND = [sys.executable, "-c", "from lykeion.cli import main; main()"]
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
BROKEN = pytest.mark.parametrize("words", [("nets", "list"), ("nets", "list", "--json"), ("--help",)], ids=" ".join)


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *words], check=False, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize(
    "locale", [ASCII, {"COLUMNS": "1"}, {"COLUMNS": "20"}, {"TERM": "dumb", "COLUMNS": "0"}], ids=str
)
def test_a_table_is_printed_on_any_terminal(locale: dict[str, str]) -> None:
    done = run("nets", "show", "mobilenet-v2", stdout=subprocess.PIPE, env={**os.environ, **locale})
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout) > 1_000


def test_json_loses_no_letter_where_the_locale_lacks_it(tmp_path: Path) -> None:
    (tmp_path / "Größe.json").write_text(
        '{"schema": "lykeion.architecture", "version": 1, "name": "Größe", "height": 8, "width": 8, "channels": 1, '
        '"classes": 2, "epsilon": 0.001, "rows": [{"kind": "convolution", "output": 8, "kernel": 3}], "head": []}'
    )
    words = ("nets", "show", str(tmp_path / "Größe.json"), "--json")
    done = run(*words, stdout=subprocess.PIPE, env={**os.environ, **ASCII})
    assert json.loads(done.stdout)["name"] == "Größe", done.stderr


def test_a_word_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    from lykeion.search.index import open_index

    open_index(tmp_path / "index", "w", dimension=2).close()
    done = run("index", "get", b"\xff".decode(errors="surrogateescape"), "--index", str(tmp_path / "index"))
    assert (done.returncode, done.stderr) == (2, b"error: '\\udcff' is not valid UTF-8\n")


@BROKEN
def test_a_reader_that_has_gone_is_141_and_silent(words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = run(*words, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@BROKEN
def test_a_full_disk_is_one_line(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = run(*words, stdout=full)
    assert (done.returncode, done.stderr) == (2, b"error: No space left on device\n")


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_a_stream_that_is_closed_is_no_failure(closed: str) -> None:
    def closing(*words: str) -> int:
        # A shell closes it: a function that runs between fork and exec would meet the threads of this process.
        command = ["sh", "-c", f'exec "$@" {closed}', "sh", *COMMAND, *words]
        return subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode

    assert closing("nets", "list") == 0
    assert closing("nets", "show", "nothing") == 2
