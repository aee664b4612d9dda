"""``lykeion models`` as a person and a program use it."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lykeion.cli import app
from lykeion.core import LykeionError
from tests.oci.distribution.fake import running
from tests.registry.keys import key_pair
from tests.registry.making import model_directory


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("COLUMNS", "200")


def invoke(*arguments: object, **options: Any) -> Result:
    return CliRunner().invoke(app, ["models", *map(str, arguments)], catch_exceptions=False, **options)


def run(*arguments: object) -> Any:
    """The one JSON document that a command prints."""
    return json.loads(invoke(*arguments, "--json").stdout)


def test_a_model_goes_in_by_one_command_and_comes_out_by_another(tmp_path: Path) -> None:
    pushed = run("push", model_directory(tmp_path / "run"), "shoes:canary", "--metric", "top1=0.9")
    assert (pushed["version"], pushed["alias"], pushed["new"]) == ("v1", "canary", True)
    pulled = run("pull", "shoes:canary", tmp_path / "out")
    assert pulled["digest"] == pushed["digest"]
    assert (tmp_path / "out" / "model.tflite").read_bytes() == b"weights"


def test_versions_are_listed_filtered_and_sorted(tmp_path: Path) -> None:
    for n in range(3):
        run("push", model_directory(tmp_path / "m", str(n).encode()), "shoes", "--metric", f"top1=0.{n}")
    run("tag", "shoes:v2", "champion")
    listed = run("list", "shoes", "--where", "top1 < 0.2", "--sort", "-top1")["versions"]
    assert [(each["version"], each["aliases"]) for each in listed] == [("v2", ["champion"]), ("v1", [])]
    everything = run("list")
    assert everything["models"] == []
    assert len(everything["versions"]) == 3
    assert "champion" in invoke("list").stdout
    assert invoke("list", "bags").stdout == ""


def test_a_move_can_be_conditional(tmp_path: Path) -> None:
    for n in range(2):
        run("push", model_directory(tmp_path / "m", str(n).encode()), "shoes")
    assert run("tag", "shoes:v1", "champion", "--expect", "nothing")["move"]["before"] == ""
    with pytest.raises(LykeionError, match="not to"):
        run("tag", "shoes:v2", "champion", "--expect", "v2")
    run("tag", "shoes:v2", "champion", "--expect", "v1")
    assert run("tag", "shoes:v2", "champion")["move"] is None
    run("untag", "shoes:champion")
    assert "v2" in invoke("show", "shoes").stdout


def test_show_diff_lineage_and_verify_tell_people_and_programs(tmp_path: Path) -> None:
    run("push", model_directory(tmp_path / "a", b"1"), "shoes", "--metric", "top1=0.5", "--run", "r1")
    run("push", model_directory(tmp_path / "a", b"2"), "shoes", "--metric", "top1=0.75", "--parent", "shoes:v1")
    assert run("show", "shoes:v1")["facts"]["lineage"] == {"run": "r1"}
    assert run("diff", "shoes:v1", "shoes:v2")["facts"]["top1"] == [0.5, 0.75]
    assert run("lineage", "shoes")["parents"][0]["version"] == "v1"
    assert run("verify", "shoes") == {"problems": []}
    for command in (["show", "shoes"], ["diff", "shoes:v1", "shoes"], ["lineage", "shoes"], ["verify", "shoes"]):
        assert invoke(*command).exit_code == 0
    assert "r1" in invoke("lineage", "shoes").stdout


def test_damage_is_named_and_the_exit_code_is_3(tmp_path: Path) -> None:
    run("push", model_directory(tmp_path / "m", b"1" * 1000), "shoes")
    blobs = tmp_path / "home" / "store" / "blobs" / "sha256"
    blob = next(path for path in blobs.iterdir() if path.read_bytes() == b"1" * 1000)
    blob.chmod(0o644)
    blob.write_bytes(b"2" * 1000)
    result = invoke("verify", "shoes")
    assert result.exit_code == 3
    assert blob.name in result.stdout


def test_delete_lists_what_goes_along_and_asks(tmp_path: Path) -> None:
    run("push", model_directory(tmp_path / "m"), "shoes:canary")
    refused = CliRunner().invoke(app, ["models", "delete", "shoes:v1"], input="n\n")
    assert refused.exit_code != 0
    assert "v1, canary" in refused.stderr
    assert run("delete", "shoes:v1", "--yes")["tags"] == ["v1", "canary"]
    assert run("gc")["blobs"] > 0


def test_signed_models_are_pulled_under_a_policy(tmp_path: Path) -> None:
    private, _ = key_pair(tmp_path / "shop")
    policy = tmp_path / "trust.toml"
    policy.write_text('[[rule]]\nnames = ["shoes"]\nkeys = ["shop.pub"]\n')
    run("push", model_directory(tmp_path / "m"), "shoes")
    with pytest.raises(LykeionError, match="not signed"):
        run("pull", "shoes", tmp_path / "out", "--trust", policy)
    assert run("sign", "shoes", "--key", private, "--out", tmp_path / "model.sig")["signed"] == "v1"
    assert (tmp_path / "model.sig").exists()
    assert run("pull", "shoes", tmp_path / "out", "--trust", policy)["new"]


def test_models_are_copied_to_a_registry_and_back(tmp_path: Path) -> None:
    with running() as registry:
        pushed = run("push", model_directory(tmp_path / "m"), "shoes:champion")
        copied = run("copy", "shoes:champion", f"{registry.host}/shop/shoes:champion")
        assert copied["digest"] == pushed["digest"]
        assert run("list", f"{registry.host}/shop/shoes")["versions"][0]["aliases"] == ["champion"]
        back = run("copy", f"{registry.host}/shop/shoes:champion", "boots", "--store", tmp_path / "other")
        assert (back["digest"], back["version"]) == (pushed["digest"], "v1")


def test_mlflows_registry_goes_out_and_comes_in(tmp_path: Path) -> None:
    run("push", model_directory(tmp_path / "m"), "shoes:champion")
    assert run("copy", "shoes", f"mlflow:{tmp_path / 'mlruns'}") == {"versions": ["v1"]}
    imported = run("import", f"mlflow:{tmp_path / 'mlruns'}", "--store", tmp_path / "other")
    assert [each["version"] for each in imported["versions"]] == ["v1"]


def test_garbage_is_told_before_it_goes(tmp_path: Path) -> None:
    for n in range(3):
        run("push", model_directory(tmp_path / "m", str(n).encode()), "shoes")
    told = run("gc", "--keep-versions", "1", "--pin", "shoes:v1", "--dry-run")
    assert told["manifests"] == ["shoes:v2"]
    assert "shoes:v2" in invoke("gc", "--keep-versions", "1", "--pin", "shoes:v1", "--cache").stdout
    assert run("list", "shoes", "--sort", "version")["versions"][0]["version"] == "v1"
