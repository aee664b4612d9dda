"""``lykeion flags``: a flag is made, changed with a reason, shown, tried and archived."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from lykeion.cli import app
from lykeion.core import LykeionError

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def call(*arguments: str) -> str:
        environment = {"LYKEION_FLEET": str(tmp_path / "fleet"), "LYKEION_ENVIRONMENT": None}
        done = CliRunner().invoke(app, ["flags", *arguments], env=environment)
        if isinstance(done.exception, LykeionError):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    return call


def test_a_flag_is_made_changed_and_archived_with_reasons(run: Run, tmp_path: Path) -> None:
    run("attributes", "set", "id", "string", "--because", "units")
    assert "version 1" in run("set", "size", "--type", "number", "--default", "1", "--because", "begin")
    (tmp_path / "size.yaml").write_text(
        "type: number\ndefault: 1\nrules:\n"
        "- {id: split, variations: [{name: a, value: 1}, {name: b, value: 2, weight: 9}]}\n"
    )
    run("set", "size", "--file", str(tmp_path / "size.yaml"), "--because", "try 2", "--by", "ann")
    (tmp_path / "shown.yaml").write_text(run("get", "size").replace("weight: 9.0", "weight: 1.0"))
    notes = run("set", "size", "--file", str(tmp_path / "shown.yaml"), "--because", "more of a", "--version", "2")
    assert "rule split: phase 2 begins" in notes
    assert "phase 3" in run("set", "size", "--new-phase", "--because", "again")
    with pytest.raises(LykeionError, match="is at version 4, and not at 2"):
        run("set", "size", "--off", "--because", "off", "--version", "2")
    run("set", "size", "--off", "--because", "it broke")
    assert json.loads(run("evaluate", "--attribute", "id=u", "--json"))["size"]["why"] == "defaultValue"
    run("set", "size", "--on", "--default", "3", "--because", "mended")
    run("archive", "size", "--because", "done")
    assert [each["because"] for each in json.loads(run("get", "size", "--history", "--json"))][:3] == [
        "done", "mended", "it broke",
    ]  # fmt: skip
    assert "ann" in run("get", "size", "--history")
    assert json.loads(run("get", "size", "--version", "2", "--json"))["by"] == "ann"
    assert json.loads(run("list", "--json")) == []
    assert json.loads(run("list", "--archived", "--json"))[0]["flag"]["default"] == 3


def test_groups_and_attributes_decide_and_evaluate_says_which_rule(run: Run, tmp_path: Path) -> None:
    (tmp_path / "testers").write_text("ann\n\n bob \n")
    run("attributes", "set", "id", "string", "--because", "units")
    run("attributes", "set", "age", "number", "--because", "law")
    run("groups", "set", "testers", "--attribute", "id", "--file", str(tmp_path / "testers"), "--because", "staff")
    rule = {"id": "staff", "inGroups": ["testers"], "where": "age >= 18", "value": "new"}
    (tmp_path / "page.json").write_text(json.dumps({"type": "string", "default": "old", "rules": [rule]}))
    run("set", "page", "--file", str(tmp_path / "page.json"), "--because", "staff first")
    found = json.loads(run("evaluate", "page", "--attribute", "id=bob", "--attribute", "age=18", "--json"))
    assert found == {"page": {"value": "new", "why": "force", "rule": "staff"}}
    assert "old" in run("evaluate", "--attribute", "id=bob", "--attribute", "age=17")
    assert json.loads(run("groups", "list", "--json"))["testers"]["values"] == ["ann", "bob"]
    assert json.loads(run("attributes", "list", "--json")) == {"age": "number", "id": "string"}


def test_a_key_is_shown_once_and_revoked_by_client(run: Run) -> None:
    key = run("keys", "make", "web", "--because", "shop").strip()
    assert key.startswith("sdk-")
    assert key not in run("keys", "list")
    assert "1 key of web" in run("keys", "revoke", "web", "--because", "gone")
    assert json.loads(run("keys", "list", "--json"))[0]["revoked"]
    with pytest.raises(LykeionError, match="client 'web' has no key"):
        run("keys", "revoke", "web", "--because", "gone")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "true", "x"])
def test_a_group_of_numbers_has_only_what_clients_can_read(run: Run, tmp_path: Path, number: str) -> None:
    run("attributes", "set", "size", "number", "--because", "x")
    (tmp_path / "sizes").write_text(f"1\n{number}\n")
    with pytest.raises(LykeionError, match=f"'{number}' is not a number below"):
        run("groups", "set", "sizes", "--attribute", "size", "--file", str(tmp_path / "sizes"), "--because", "x")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("set", "size", "--off"), "there is no flag 'size' in production"),
        (("set", "size", "--type", "number", "--default", "x"), "'x': not a value: not JSON"),
        (("set", "Size", "--type", "number", "--default", "1"), "must be lower-case letters"),
        (("attributes", "set", "a.b", "string"), "must be letters"),
        (("keys", "make", "web", "--environment", "../x"), "the name of the environment"),
        (("evaluate", "size"), "there is no flag 'size'"),
    ],
)
def test_mistakes_are_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    because = () if arguments[0] == "evaluate" else ("--because", "x")
    with pytest.raises(LykeionError, match=message) as found:
        run(*arguments, *because)
    assert "\n" not in str(found.value)
