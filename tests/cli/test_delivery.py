"""``lykeion delivery``, as a person types it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lykeion.cli import app
from lykeion.core import DONE_BUT, LykeionError
from lykeion.delivery import NoSuchTarget
from tests.delivery.fleet import Fleet


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LYKEION_DELIVERY", str(tmp_path / "tuf"))


def invoke(*words: str) -> Result:
    result = CliRunner().invoke(app, ["delivery", *words])
    if isinstance(result.exception, LykeionError):
        raise result.exception
    return result


@pytest.mark.slow
def test_from_a_repository_to_a_device_that_is_explained(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    made = invoke("init", str(fleet.home))
    assert made.stdout == f"{fleet.home}: root 1 is published\n"
    assert "to offline media" in made.stderr
    assert invoke("status").exit_code == 0
    classes = str(fleet.classes(fleet.push(1)))
    published = json.loads(invoke("publish", "shoes:champion", "--classes", classes, "--json").stdout)
    assert [each["device_class"] for each in published["targets"]] == ["low", "any"]
    classes = str(fleet.classes(fleet.push(2)))
    assert "shoes v2 is published" in invoke("publish", "shoes:champion", "--classes", classes).stdout
    (tmp_path / "device.json").write_text('{"memory_mb": 512}')
    told = invoke("explain", "shoes", str(tmp_path / "device.json"))
    assert told.stdout == "low: yes, memory_mb < 2000 is true\nshoes/v2/low: litert, 2 threads\n"
    assert "v2 and later may run" in invoke("minimum", "shoes", "v2").stdout
    assert "2 files are revoked" in invoke("revoke", "shoes", "v1").stdout
    with pytest.raises(NoSuchTarget):
        invoke("explain", "hats", str(tmp_path / "device.json"))
    assert invoke("refresh").stdout == "signed timestamp\n"
    assert "root 2 is published" in invoke("rotate", "timestamp").stdout
    assert "model.shoes has the key" in invoke("rotate", "model.shoes").stdout
    assert invoke("publish", "shoes", "--classes", classes, "--index", "shop.index").exit_code == 2


def test_a_repository_whose_root_waits_for_signatures_says_so_with_exit_code_3(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert invoke("init", str(tmp_path / name), "--threshold", "1").exit_code == 0
    (tmp_path / "b" / "keys" / "root-1.pem").rename(tmp_path / "away.pem")
    (tmp_path / "b" / "keys" / "root-2.pem").unlink()
    staged = invoke("rotate", "snapshot", "--repository", str(tmp_path / "b"))
    assert "root 2 needs 1 more signatures" in staged.stdout
    shown = json.loads(invoke("status", "--repository", str(tmp_path / "b"), "--json").stdout)
    assert shown["staged"]["missing"] == 1
    signed = invoke("sign", "--repository", str(tmp_path / "b"), "--key", f"file2:{tmp_path / 'away.pem'}")
    assert "root 2 is published" in signed.stdout
    public = tmp_path / "holder.pub"
    public.write_text("no key")
    with pytest.raises(LykeionError, match=r"holder\.pub: not a key in PEM"):
        invoke("init", str(tmp_path / "c"), "--root-key", str(public))


def test_status_exits_with_3_when_something_is_due(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    fleet.wait(days=-2.5)
    fleet.init()
    due = invoke("status", "--json")
    assert due.exit_code == DONE_BUT
    assert [each["role"] for each in json.loads(due.stdout)["roles"] if each["due"]] == ["timestamp"]
    invoke("refresh")
    assert invoke("status").exit_code == 0
