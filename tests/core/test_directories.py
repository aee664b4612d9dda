"""What must last lies in the data directory; what earlier versions left in the cache directory can be moved."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lykeion.core import Unavailable, cache_directory, data_directory, kept_directory

PROGRAM = "from lykeion.core import kept_directory as k; print(k('store'), k('images/store'), k('models'), sep='\\n')"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("LYKEION_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    home = tmp_path / "it's a home"
    monkeypatch.setenv("HOME", str(home))
    return home


def test_directories_follow_xdg(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (data_directory(), cache_directory()) == (home / ".local/share/lykeion", home / ".cache/lykeion")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert (data_directory(), cache_directory()) == (Path("/data/lykeion"), Path("/cache/lykeion"))


def test_a_relative_directory_of_xdg_is_ignored(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    monkeypatch.setenv("XDG_CACHE_HOME", "~/cache")
    assert (data_directory(), cache_directory()) == (home / ".local/share/lykeion", home / ".cache/lykeion")


def test_a_user_without_a_home_is_told_what_to_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    with pytest.raises(Unavailable, match="set LYKEION_HOME"):
        data_directory()
    monkeypatch.setenv("LYKEION_HOME", "/it")
    assert data_directory() == Path("/it")


def test_one_variable_chooses_both(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYKEION_HOME", "/it")
    assert (data_directory(), cache_directory()) == (Path("/it"), Path("/it/cache"))
    assert kept_directory("store") == Path("/it/store")


def test_what_lies_in_the_cache_is_used_until_the_printed_command_has_moved_it(home: Path) -> None:
    old, new = home / ".cache/lykeion", home / ".local/share/lykeion"
    _write(old / "store/index.json", old / "images/store/index.json", old / "models/shoes-0.tflite")
    places, said = _ask()
    assert places == [old / "store", old / "images/store", old / "models"]
    notice, command = said.splitlines()
    assert notice == "notice: models or images are in a cache directory, which may be cleared; this moves them:"
    assert command.count(" mv ") == 3
    subprocess.run(command, shell=True, check=True)
    assert _ask() == ([new / "store", new / "images/store", new / "models"], "")
    assert all((new / name).is_file() for name in ("store/index.json", "images/store/index.json"))
    assert not (old / "store").exists()


def test_the_command_moves_only_what_is_there(home: Path) -> None:
    old, new = home / ".cache/lykeion", home / ".local/share/lykeion"
    _write(old / "images/store/index.json", new / "models/shoes-0.tflite")
    places, said = _ask()
    assert places == [new / "store", old / "images/store", new / "models"]
    subprocess.run(said.splitlines()[1], shell=True, check=True)
    assert _ask() == ([new / "store", new / "images/store", new / "models"], "")


def test_what_is_nothing_but_cache_needs_no_move(home: Path) -> None:
    old, new = home / ".cache/lykeion", home / ".local/share/lykeion"
    _write(old / "models/efficientnet-lite0-0.tflite", old / "models/tried/0", old / "blobs/sha256/0")
    (old / "store").mkdir()
    assert _ask() == ([new / "store", new / "images/store", new / "models"], "")


def test_where_both_places_have_one_the_notice_names_the_one_in_use(home: Path) -> None:
    old, new = home / ".cache/lykeion", home / ".local/share/lykeion"
    _write(old / "store/index.json", new / "store/index.json")
    places, said = _ask()
    assert places[0] == old / "store"
    assert said.splitlines() == [
        "notice: both exist, and the first of each pair is used; move the other away: "
        f"{old / 'store'} and {new / 'store'}"
    ]


def test_one_directory_for_both_needs_no_move(home: Path) -> None:
    _write(home / ".cache/lykeion/store/index.json")
    (home / ".local/share").mkdir(parents=True)
    (home / ".local/share/lykeion").symlink_to(home / ".cache/lykeion")
    places, said = _ask()
    assert (places[0], said) == (home / ".local/share/lykeion/store", "")


def test_a_quiet_command_gives_no_notice(home: Path) -> None:
    _write(home / ".cache/lykeion/store/index.json")
    command = ["pull", "shoes", str(home / "out")]
    assert "notice: " in _lykeion("models", *command)
    assert _lykeion("models", *command, "--quiet").startswith("error: ")


def _write(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


def _ask() -> tuple[list[Path], str]:
    """What a fresh process is told, and what it says on standard error."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    return list(map(Path, done.stdout.splitlines())), done.stderr


def _lykeion(*arguments: str) -> str:
    program = "from lykeion.cli import main; main()"
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ}).stderr
