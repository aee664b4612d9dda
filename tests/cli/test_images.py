"""``lykeion images``, as a person types it."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lykeion.cli import app
from lykeion.core import LykeionError, NotFound, Unsupported
from lykeion.images.errors import ImageError
from lykeion.oci.distribution import DiskStore
from lykeion.registry import Untrusted, parse, sign
from tests.images.conftest import make_project
from tests.oci.distribution.fake import running
from tests.registry.keys import key_pair
from tests.registry.making import pushed


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))


@pytest.fixture
def description(tmp_path: Path) -> str:
    return str(make_project(tmp_path / "project") / "image.yaml")


def run(*arguments: str) -> str:
    return CliRunner().invoke(app, ["images", *arguments], catch_exceptions=False, standalone_mode=False).stdout


def test_a_build_prints_its_layers_and_its_digest(description: str) -> None:
    printed = run("build", description, "--tag", "shop:v1", "-q")
    assert "2 wheels" in printed
    digest = printed.split()[-1]
    assert json.loads(run("list", "--json"))["images"][0] | {"size_bytes": 0} == {
        "ref": "shop:v1",
        "digest": digest,
        "platforms": ["linux/amd64"],
        "size_bytes": 0,
    }
    assert "shop:v1" in run("list")


def test_show_tells_how_an_image_starts_and_what_is_attached(description: str) -> None:
    run("build", description, "-q")
    shown = run("show", "shop:latest")
    for words in ("lykeion serve --host 0.0.0.0", "65532:65532", "8080/tcp", "application/vnd.cyclonedx+json"):
        assert words in shown
    assert json.loads(run("show", "shop:latest", "--attached", "provenance"))["predicateType"].startswith(
        "https://slsa"
    )
    part = json.loads(run("show", "shop:latest", "--json"))["platforms"][0]
    assert [layer["title"] for layer in part["layers"]] == ["base", "2 wheels", "source"]


def test_a_lock_is_what_a_build_takes(description: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "requirements.txt").write_text(run("lock", str(project / "wheels")))
    assert json.loads(run("build", description, "--json", "-q"))["overlaps"] == []


def test_a_volume_and_a_name_that_is_taken_away(description: str, tmp_path: Path) -> None:
    run("build", description, "-q")
    made = json.loads(run("volume", str(tmp_path / "project" / "app"), "-t", "app:v1", "--uncompressed", "--json"))
    assert made["ref"] == "app:v1"
    assert json.loads(run("prune", "--remove", "shop:latest", "--json"))["blobs"] > 0
    assert [image["ref"] for image in json.loads(run("list", "--json"))["images"]] == ["app:v1"]


def test_a_dockerfile_needs_buildah_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    with pytest.raises(Unsupported, match=r"buildah is not installed; or describe it by image\.yaml"):
        run("build", str(tmp_path / "Dockerfile"))


@pytest.mark.parametrize("verb", ["run", "show"])
def test_an_image_that_is_not_there_is_named(verb: str) -> None:
    with pytest.raises(LykeionError, match="has no image shop:v9; `lykeion images list`"):
        run(verb, "shop:v9")


def test_a_variable_without_a_name_is_refused(description: str) -> None:
    run("build", description, "-q")
    with pytest.raises(click.BadParameter, match="'=SECRET' has no name; write NAME=VALUE"):
        run("run", "-e", "=SECRET", "shop:latest")


def test_a_version_of_the_repository_is_put_in_by_its_name(description: str, tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "store")
    private, _ = key_pair(tmp_path / "shop")
    pushed(store, tmp_path / "model", "shoes:champion")
    sign(store, parse("shoes:champion"), private)
    policy = tmp_path / "trust.toml"
    policy.write_text('[[rule]]\nnames = ["shoes"]\nkeys = ["shop.pub"]\n')
    options = ("--model", "shoes:champion", "--store", str(store.root), "--trust", str(policy))
    run("build", description, *options, "-q")
    part = json.loads(run("show", "shop:latest", "--json"))["platforms"][0]
    assert [layer["title"] for layer in part["layers"]] == ["base", "2 wheels", "model", "source"]


@pytest.mark.parametrize(
    "words",
    [
        ("build", "{project}/image.yaml"),
        ("build", "{project}/image.yaml", "--layout", "{project}/layout"),
        ("volume", "{project}/app", "-t", "app:v1"),
        ("volume", "{project}/app", "-t", "app:v1", "--layout", "/dev/null/layout"),
        ("pull", "127.0.0.1:9/shop:v1"),
        ("list",),
        ("prune", "--caches"),
    ],
    ids=" ".join,
)
def test_a_place_that_cannot_be_written_is_one_line(
    words: tuple[str, ...], description: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LYKEION_HOME", "/dev/null/home")
    with pytest.raises(LykeionError, match=r"/dev/null/.*: cannot be written") as caught:
        run(*(word.format(project=Path(description).parent) for word in words))
    assert "\n" not in str(caught.value)


def test_nothing_of_an_image_reaches_the_terminal_raw(description: str, tmp_path: Path) -> None:
    text = Path(description).read_text()
    Path(description).write_text(text + 'labels: {team: "shoes\\e[2J\\u202E"}\ncommand: ["\\e]0;owned\\a"]\n')
    assert "\x1b" not in run("build", description, "-q")
    shown = run("show", "shop:latest")
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert "shoes\\x1b[2J\\u202e" in shown
    printed = run("show", "shop:latest", "--json")
    assert not {"\x1b", "\u202e"} & set(printed)
    labels = json.loads(printed)["platforms"][0]["config"]["Labels"]
    assert labels["team"] == "shoes\x1b[2J\u202e"


def test_a_trust_policy_says_which_images_are_pulled_and_run(tmp_path: Path) -> None:
    """By name: nobody's signature is on an image that this program reads."""
    policy = tmp_path / "trust.toml"
    keys = f'[[rule]]\nnames = ["shop", "{{host}}/signed/*"]\nkeys = ["{key_pair(tmp_path / "shop")[1].name}"]\n'
    with running() as place:
        host = place.host
        policy.write_text(keys.format(host=host) + f'[[rule]]\nnames = ["tools", "{host}/open/*"]\n')
        for words in (
            ("pull", f"{host}/signed/shop:v1"),
            ("pull", f"{host}/other:v1"),
            ("run", "shop:latest"),
            ("run", "sha256:" + "0" * 64),
        ):
            with pytest.raises(Untrusted, match=r"trust.toml has no rule without keys for this image"):
                run(*words[:1], "--trust", str(policy), *words[1:])
        assert place.requests == []
        with pytest.raises(NotFound, match="no such image"):
            run("pull", "--trust", str(policy), f"{host}/open/shop:v1")
    with pytest.raises(ImageError, match="has no image tools"):
        run("run", "--trust", str(policy), "tools:latest")
