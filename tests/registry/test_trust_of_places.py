"""A signature is for one repository and one version, a rule for a place, and nobody's junk hides either."""

import json
import shutil
from pathlib import Path

import pytest

from lykeion.core import SILENT, digest_bytes
from lykeion.oci import Descriptor
from lykeion.oci.distribution import DiskStore, Reference, RemoteStore, Transport
from lykeion.registry import (
    BlobCache,
    ModelFacts,
    Policy,
    Untrusted,
    copy,
    export_mlflow,
    keep,
    load,
    parse,
    pull,
    read_policy,
    sign,
)
from lykeion.registry.artifact.model_artifact import SIGNATURE
from lykeion.registry.trust import signing
from tests.oci.distribution.fake import Troubles, running
from tests.registry.keys import key_pair
from tests.registry.making import pushed


def policy(tmp_path: Path, names: str, more: str = "") -> Policy:
    (tmp_path / "trust.toml").write_text(f'[[rule]]\nnames = ["{names}"]\nkeys = ["shop.pub"]\n{more}\n')
    return read_policy(tmp_path / "trust.toml")


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        (
            "localhost:5055/s/*",
            [
                "localhost:5055/s/a",
                "LOCALHOST:5055/s/a",
                "127.0.0.1:5055/s/a",
                "[::1]:5055/s/a",
                "localhost:05055/s/a",
            ],
        ),
        ("127.0.0.1:*/s/*", ["127.0.0.1:5055/s/a"]),
        ("127.0.0.1:5055/s/*", ["localhost:5055/s/a", "127.0.0.1:05055/s/a"]),
        ("Registry.example.com/s/*", ["registry.example.com/s/a", "REGISTRY.example.com:443/s/a"]),
        ("registry.example.com:443/s/*", ["registry.example.com/s/a"]),
        ("[2001:db8::1]:5000/s/*", ["[2001:db8::1]:5000/s/a", "[2001:DB8:0::1]:5000/s/a"]),
        ("docker.io/s/*", ["registry-1.docker.io/s/a", "index.docker.io/s/a"]),
    ],
)
def test_a_rule_is_for_a_place_whatever_its_host_is_called(rule: str, names: list[str], tmp_path: Path) -> None:
    for name in names:
        assert policy(tmp_path, rule).rule_for(parse(name)), name
    for other in ("localhost:5056/s/a", "registry.example.com:444/s/a", "s/a", "docker.io/t/a"):
        assert not policy(tmp_path, rule).rule_for(parse(other)) or rule.startswith("127.0.0.1:*")


def test_a_signature_is_for_the_whole_repository(tmp_path: Path) -> None:
    store, (private, _) = DiskStore(tmp_path / "store"), key_pair(tmp_path / "shop")
    pushed(store, tmp_path / "a", "dev/shoes")
    sign(store, parse("dev/shoes"), private)
    copy((store, parse("dev/shoes")), (store, parse("prod/shoes:champion")), reporter=SILENT)
    rules = policy(tmp_path, "*")
    pull(store, parse("dev/shoes"), tmp_path / "out", policy=rules, reporter=SILENT)
    with pytest.raises(Untrusted, match="not signed as 'prod/shoes'"):
        pull(store, parse("prod/shoes:champion"), tmp_path / "no", policy=rules, reporter=SILENT)
    with pytest.raises(Untrusted, match="not signed as 'prod/shoes'"):
        copy((store, parse("prod/shoes")), (store, parse("bags")), policy=rules, reporter=SILENT)
    with pytest.raises(Untrusted, match="not signed as 'prod/shoes'"):
        export_mlflow(store, parse("prod/shoes"), tmp_path / "mlruns", policy=rules, reporter=SILENT)
    assert store.tags("bags") == []


def test_signatures_of_earlier_releases_do_where_a_rule_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, (private, _) = DiskStore(tmp_path / "store"), key_pair(tmp_path / "shop")
    pushed(store, tmp_path / "a", "prod/shoes")
    now = signing._version_statement

    def earlier(_repository: str, version: str, digest: str) -> dict[str, object]:
        return {**now("shoes", version, digest), "predicate": {"version": version}}

    files = signing._files_statement
    with monkeypatch.context() as patch:
        patch.setattr(signing, "_version_statement", earlier)
        patch.setattr(signing, "_files_statement", lambda name, model: files(name.rpartition("/")[2], model))
        sign(store, parse("prod/shoes"), private)
    with pytest.raises(Untrusted, match="short_names"):
        pull(store, parse("prod/shoes"), tmp_path / "out", policy=policy(tmp_path, "*"), reporter=SILENT)
    old = policy(tmp_path, "*", "short_names = true")
    pull(store, parse("prod/shoes"), tmp_path / "out", policy=old, reporter=SILENT)
    with pytest.raises(Untrusted, match="true or false"):
        policy(tmp_path, "*", "short_names = 1")


@pytest.mark.parametrize("name", ["shoes:v2", "shoes"])
def test_a_version_is_the_one_that_was_signed(name: str, tmp_path: Path) -> None:
    store, (private, _) = DiskStore(tmp_path / "store"), key_pair(tmp_path / "shop")
    digest = pushed(store, tmp_path / "a", "shoes:champion")
    sign(store, parse("shoes:v1"), private)
    store.write("shoes", [], {"v2": digest})
    rules = policy(tmp_path, "shoes")
    for other in ("shoes:v1", "shoes:champion", f"shoes@{digest}"):
        assert keep(store, parse(other), policy=rules, reporter=SILENT).is_dir()
    for attempt in (
        lambda: pull(store, parse(name), tmp_path / "out", policy=rules, reporter=SILENT),
        lambda: keep(store, parse(name), policy=rules, reporter=SILENT),
    ):
        with pytest.raises(Untrusted, match="signed as v1, not as v2"):
            attempt()


@pytest.mark.parametrize("api", [True, False])
def test_neither_junk_nor_what_is_missing_hides_a_signature(api: bool, tmp_path: Path) -> None:
    private, _ = key_pair(tmp_path / "shop")
    with running(Troubles(referrers_api=api)) as registry:
        store, shoes = RemoteStore(Transport(registry.host)), Reference(registry.host, "s/shoes", "v1")
        pushed(store, tmp_path / "a", "s/shoes", facts=ModelFacts({"top1": 0.5}))
        others, _ = key_pair(tmp_path / "other")
        for _ in range(3):
            sign(store, shoes, others)
        missing = [
            Descriptor("application/vnd.oci.image.manifest.v1+json", digest_bytes(bytes([n])), 7, SIGNATURE)
            for n in range(40)
        ]
        if api:
            registry.troubles.junk = [each.to_json() for each in missing]
        sign(store, shoes, private)
        for digest in [d for d, (_, data) in registry.manifests["s/shoes"].items() if b'"subject"' in data][:2]:
            blob = json.loads(registry.manifests["s/shoes"][digest][1])["layers"][0]["digest"]
            del registry.blobs["s/shoes"][blob]
        rules, cache = policy(tmp_path, f"{registry.host}/*"), BlobCache(tmp_path / "c")
        pull(store, shoes, tmp_path / "out", policy=rules, cache=cache, reporter=SILENT)
        disk = DiskStore(tmp_path / "store")
        copy((store, shoes), (disk, parse("s/shoes")), policy=rules, cache=cache, reporter=SILENT)
        pull(disk, parse("s/shoes"), tmp_path / "again", policy=policy(tmp_path, "s/shoes"), reporter=SILENT)


def test_a_damaged_signature_on_disk_does_not_stop_a_pull(tmp_path: Path) -> None:
    store, (private, _) = DiskStore(tmp_path / "store"), key_pair(tmp_path / "shop")
    pushed(store, tmp_path / "a", "shoes")
    for key in (key_pair(tmp_path / "other")[0], private):
        sign(store, parse("shoes"), key)
    first, _ = store.referrers("shoes", load(store, parse("shoes")).digest, SIGNATURE)
    path = store.layout.path_of(first.digest)
    path.unlink()
    pull(store, parse("shoes"), tmp_path / "out", policy=policy(tmp_path, "shoes"), reporter=SILENT)
    shutil.rmtree(tmp_path / "out")
    path.write_bytes(b"junk")
    pull(store, parse("shoes"), tmp_path / "out", policy=policy(tmp_path, "shoes"), reporter=SILENT)
