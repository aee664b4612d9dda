"""A model store of an earlier release, in tests/fixtures/store-v1, is used and written by this one."""

import shutil
from pathlib import Path

import pytest

from lykeion.core import SILENT
from lykeion.registry import Stores, history, lineage, list_versions, parse, pull, read_policy, resolve, verify

from .making import pushed

OLD = Path(__file__).parents[1] / "fixtures" / "store-v1"


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stores:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    return Stores(Path(shutil.copytree(OLD, tmp_path / "store")))


def test_versions_aliases_moves_and_lineage_are_as_they_were(stores: Stores) -> None:
    found = {
        version.version: (set(version.aliases), version.metrics) for version in list_versions(stores.disk, "shoes")
    }
    assert found == {"v1": ({"champion"}, {"top1": 0.9}), "v2": ({"canary"}, {"top1": 0.91})}
    child = lineage(stores.of, parse("shoes:canary"))
    assert [child.version, *(parent.version for parent in child.parents)] == ["v2", "v1"]
    assert len(history(stores.disk, "shoes", "canary")) == 2


def test_a_signed_version_is_pulled_under_a_policy(stores: Stores, tmp_path: Path) -> None:
    rules = tmp_path / "trust.toml"
    rules.write_text(f'[[rule]]\nnames = ["shoes"]\nkeys = ["{OLD / "shop.pub"}"]\nshort_names = true\n')
    policy = read_policy(rules)
    assert verify(stores.disk, parse("shoes:canary"), policy=policy, reporter=SILENT) == []
    assert len(verify(stores.disk, parse("shoes:champion"), policy=policy, reporter=SILENT)) == 1, "not signed"
    pull(stores.disk, parse("shoes:canary"), tmp_path / "pulled", policy=policy, reporter=SILENT)
    assert (tmp_path / "pulled" / "model.tflite").read_bytes() == b"better\n"


def test_the_next_version_follows_and_the_same_files_are_the_same_version(stores: Stores, tmp_path: Path) -> None:
    pushed(stores.disk, tmp_path / "model", "shoes:new")
    assert {version.version for version in list_versions(stores.disk, "shoes")} == {"v1", "v2", "v3"}
    assert resolve(stores.disk, parse("shoes:v3")) == resolve(stores.disk, parse("shoes:new"))
