"""A model that a command is given by its name in a repository, and what a trust policy then allows."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lykeion.cli import app
from lykeion.core import LykeionError, NotFound
from lykeion.inputs import find_embedder, find_model
from lykeion.oci.distribution import DiskStore
from lykeion.registry import Untrusted, parse, sign
from lykeion.search.index import open_index
from tests.registry.keys import key_pair
from tests.registry.making import pushed
from tests.search.ingest.tiny import jpeg, write_network

POLICY = '[[rule]]\nnames = ["shoes"]\nkeys = ["shop.pub"]\n'


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskStore:
    """Version 1 of shoes is signed, version 2 is not; champion is at 1."""
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LYKEION_STORE", str(tmp_path / "store"))
    store = DiskStore(tmp_path / "store")
    private, _ = key_pair(tmp_path / "shop")
    for n in (1, 2):
        network = write_network(tmp_path / "tiny.tflite", seed=n)
        card = network.with_suffix(".json").read_bytes()
        pushed(store, tmp_path / str(n), "shoes", network.read_bytes())
        (tmp_path / str(n) / "model.json").write_bytes(card)
        pushed(store, tmp_path / str(n), f"shoes:{'champion' if n == 1 else 'canary'}", network.read_bytes())
    sign(store, parse("shoes:champion"), private)
    return store


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "trust.toml"
    path.write_text(POLICY)
    return path


def invoke(*arguments: object, **options: Any) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False, **options)


def test_an_index_is_made_with_a_model_by_its_name(store: DiskStore, policy: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_bytes(jpeg(1))
    index = tmp_path / "shop.index"
    done = invoke(
        "index", "add", tmp_path / "photos", "--index", index, "--embedder", "shoes:champion", "--trust", policy
    )
    assert done.exit_code == 0
    with open_index(index) as opened:
        assert opened.count() == 1


@pytest.mark.parametrize("command", ["add", "serve"])
def test_what_the_policy_does_not_allow_is_neither_used_nor_served(
    command: str, store: DiskStore, policy: Path, tmp_path: Path
) -> None:
    arguments = ["index", "add", str(tmp_path)] if command == "add" else ["serve", "--port", "0"]
    with pytest.raises(Untrusted, match="not signed"):
        invoke(*arguments, "--index", tmp_path / "i", "--embedder", "shoes:canary", "--trust", policy)
    assert not (tmp_path / "i").exists()


def test_an_image_holds_no_model_that_the_policy_does_not_allow(
    store: DiskStore, policy: Path, tmp_path: Path
) -> None:
    (tmp_path / "image.yaml").write_text("schema: 1\nname: shop\nkind: serving\nbase: {rootfs: base}\n")
    with pytest.raises(Untrusted, match="not signed"):
        invoke("images", "build", tmp_path / "image.yaml", "--model", "shoes:canary", "--trust", policy)


def test_under_a_policy_a_file_needs_its_leave(store: DiskStore, policy: Path, tmp_path: Path) -> None:
    network = tmp_path / "tiny.tflite"
    assert find_model(str(network), None, None) == network
    for spec in (str(network), "efficientnet-lite0"):
        with pytest.raises(Untrusted, match="name a version, not a file"):
            find_model(spec, policy, None)
    policy.write_text(POLICY + '[[rule]]\nnames = ["efficientnet-lite0"]\n')
    assert find_model("efficientnet-lite0", policy, None) == Path("efficientnet-lite0")
    policy.write_text(POLICY + '[[rule]]\nnames = ["efficientnet-lite0"]\nkeys = ["shop.pub"]\n')
    with pytest.raises(Untrusted):
        find_embedder(None, policy, None)
    policy.write_text('default = "allow"\n' + POLICY)
    assert find_model(str(network), policy, None) == network


def test_a_kept_model_that_was_changed_is_pulled_again(store: DiskStore, tmp_path: Path) -> None:
    kept = Path(find_embedder("shoes:champion", None, store.root) or "")
    right = kept.read_bytes()
    kept.unlink()
    kept.write_bytes(b"other")
    again = find_embedder("shoes:champion", None, store.root)
    assert again == str(kept)
    assert kept.read_bytes() == right


def test_a_name_that_is_nowhere_is_said_in_one_line(store: DiskStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is v4"):
        find_model("shoes:nine", None, store.root)
    with pytest.raises(LykeionError, match="no model's name"):
        find_model("Shoes", None, store.root)
    for path in ("./nowhere", "nowhere.tflite"):
        with pytest.raises(LykeionError, match="no such embedder"):
            invoke("index", "add", tmp_path, "--index", tmp_path / "i", "--embedder", path)
