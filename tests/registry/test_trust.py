"""Whose models may be pulled, and what cannot be passed off as theirs."""

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from lykeion.core import SILENT, NotFound
from lykeion.oci import ImageManifest, read_manifest
from lykeion.oci.distribution import DiskStore, Reference
from lykeion.registry import ModelFacts, Untrusted, load, move, parse, pull, read_policy, sign, verify
from lykeion.registry.artifact.model_artifact import SIGNATURE, TITLE
from lykeion.registry.trust import signing
from tests.registry.keys import key_pair
from tests.registry.making import IGNORE, pushed

SHOES = parse("shoes:champion")


@pytest.fixture
def store(tmp_path: Path) -> DiskStore:
    """Versions 1 and 2 of shoes, both signed; champion is at 2."""
    store = DiskStore(tmp_path / "store")
    private, _ = key_pair(tmp_path / "shop")
    for n in (1, 2):
        pushed(store, tmp_path / str(n), "shoes:champion", str(n).encode(), ModelFacts({"top1": n / 2}))
        sign(store, parse(f"shoes:v{n}"), private)
    return store


def policy(tmp_path: Path, text: str = "") -> Path:
    path = tmp_path / "trust.toml"
    path.write_text(text or '[[rule]]\nnames = ["shoes", "r.example/*"]\nkeys = ["shop.pub"]\nminimum = "v2"\n')
    return path


def pulls(store: DiskStore, tmp_path: Path, reference: Reference = SHOES, text: str = "") -> bool:
    pull(store, reference, tmp_path / "out", policy=read_policy(policy(tmp_path, text)), reporter=SILENT)
    return True


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_what_was_signed_is_trusted(curve: ec.EllipticCurve, store: DiskStore, tmp_path: Path) -> None:
    private, public = key_pair(tmp_path / "other", curve)
    signed, _ = sign(store, SHOES, private)
    assert (signed.name, signed.version) == ("shoes", "v2")
    told = signing.verify(store, "shoes", load(store, SHOES), [public])
    assert [(each.name, each.version) for each in told] == [("shoes", "v2")]
    assert pulls(store, tmp_path)


def test_what_nobody_signed_is_refused_before_a_file_is_fetched(store: DiskStore, tmp_path: Path) -> None:
    pushed(store, tmp_path / "3", "shoes:champion", b"3")
    with pytest.raises(Untrusted, match="not signed"):
        pulls(store, tmp_path)
    assert not (tmp_path / "out").exists()
    assert any(
        "not signed" in problem
        for problem in verify(store, SHOES, policy=read_policy(policy(tmp_path)), reporter=SILENT)
    )


def test_another_key_does_not_do(store: DiskStore, tmp_path: Path) -> None:
    key_pair(tmp_path / "shop")  # the policy's key is another now
    with pytest.raises(Untrusted, match="not signed"):
        pulls(store, tmp_path)


def test_an_alias_rolled_back_below_the_minimum_is_refused(store: DiskStore, tmp_path: Path) -> None:
    move(store, "shoes", "champion", store.resolve("shoes", "v1") or "")
    with pytest.raises(Untrusted, match="v2 and later"):
        pulls(store, tmp_path)


def test_an_old_version_under_a_new_ones_tag_is_still_old(store: DiskStore, tmp_path: Path) -> None:
    store.write("shoes", [], {"v9": store.resolve("shoes", "v1") or ""})
    with pytest.raises(Untrusted, match="signed as v1"):
        pulls(store, tmp_path, parse("shoes:v9"))


def test_a_signature_for_one_name_is_none_for_another(store: DiskStore, tmp_path: Path) -> None:
    from lykeion.registry import copy

    copy((store, SHOES), (store, parse("bags")), reporter=SILENT)
    with pytest.raises(Untrusted, match="'bags'"):
        pulls(store, tmp_path, parse("bags"), '[[rule]]\nnames = ["*"]\nkeys = ["shop.pub"]\n')


def test_forged_annotations_are_found_out(store: DiskStore, tmp_path: Path) -> None:
    model = load(store, SHOES)
    manifest = json.loads(model.data)
    manifest["annotations"]["io.github.lykeion.metric.top1"] = "0.99"
    forged = json.dumps(manifest).encode()
    store.write("shoes", [forged], {"champion": load_digest(forged)})
    for referrer in store.referrers("shoes", model.digest, SIGNATURE):  # the signatures, put on the forgery
        signature = read_manifest(store.manifest("shoes", referrer.digest))
        assert isinstance(signature, ImageManifest)
        assert signature.subject
        moved = json.loads(signature.to_bytes())
        moved["subject"]["digest"] = load_digest(forged)
        store.attach("shoes", json.dumps(moved).encode())
    with pytest.raises(Untrusted, match="not signed"):
        pulls(store, tmp_path)


def test_half_a_signature_is_none(store: DiskStore, tmp_path: Path) -> None:
    pushed(store, tmp_path / "3", "shoes:champion", b"3")
    private, _ = key_pair(tmp_path / "shop")
    sign(store, SHOES, private)
    model = load(store, SHOES)
    (referrer,) = store.referrers("shoes", model.digest, SIGNATURE)
    whole = read_manifest(store.manifest("shoes", referrer.digest))
    assert isinstance(whole, ImageManifest)
    store.delete("shoes", referrer.digest)
    for kept in whole.layers:
        half = ImageManifest(whole.config, (kept,), artifact_type=SIGNATURE, subject=whole.subject)
        store.attach("shoes", half.to_bytes())
    with pytest.raises(Untrusted):
        pulls(store, tmp_path)


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"[" * 10_000, b'{"dsseEnvelope": {"payload": "!", "signatures": []}}']
)
def test_a_bundle_that_is_none_is_passed_over(damage: bytes, store: DiskStore, tmp_path: Path) -> None:
    from lykeion.core import digest_bytes
    from lykeion.oci import EMPTY, Descriptor

    model = load(store, SHOES)
    layers = []
    for title in ("model.sig", "manifest.sig"):
        layers.append(Descriptor(SIGNATURE, digest_bytes(damage), len(damage), annotations={TITLE: title}))
        store.put("shoes", layers[-1], damage, IGNORE)
    subject = Descriptor(model.manifest.media_type, model.digest, len(model.data))
    store.attach("shoes", ImageManifest(EMPTY, tuple(layers), artifact_type=SIGNATURE, subject=subject).to_bytes())
    assert pulls(store, tmp_path)


def test_names_without_a_rule_are_refused_unless_said_otherwise(store: DiskStore, tmp_path: Path) -> None:
    with pytest.raises(Untrusted, match="no rule"):
        pulls(store, tmp_path, SHOES, '[[rule]]\nnames = ["bags"]\nkeys = []\n')
    assert pulls(store, tmp_path, SHOES, 'default = "allow"\n')


@pytest.mark.parametrize(
    "text",
    [
        "rule = 3",
        "default = 1",
        'defautl = "allow"',
        "[[rule]]\nkeys = []",
        '[[rule]]\nnames = ["a"]\nkey = []',
        "[",
        '[[rule]]\nnames = ["a"]\nminimum = "7"',
        '[[rule]]\nnames = ["a"]\nminimum = "v7"',
        '[[rule]]\nnames = "a"',
    ],
)
def test_a_policy_that_is_not_wholly_understood_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(Untrusted, match=r"trust\.toml"):
        read_policy(policy(tmp_path, text))


def test_keys_that_are_none_are_refused(store: DiskStore, tmp_path: Path) -> None:
    (tmp_path / "bad.key").write_text("x")
    with pytest.raises(Untrusted, match=r"bad\.key"):
        sign(store, SHOES, tmp_path / "bad.key")
    with pytest.raises(Untrusted, match=r"shop\.key"):
        pulls(store, tmp_path, SHOES, '[[rule]]\nnames = ["*"]\nkeys = ["shop.key"]\n')
    with pytest.raises(NotFound):
        sign(store, parse("shoes:nothing"), tmp_path / "shop.key")


def test_the_bundle_of_the_files_is_what_model_signing_reads(store: DiskStore, tmp_path: Path) -> None:
    _, data = sign(store, SHOES, tmp_path / "shop.key")
    bundle = json.loads(data)
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    assert statement["predicateType"] == "https://model_signing/signature/v1.0"
    assert [resource["name"] for resource in statement["predicate"]["resources"]] == [
        "README.md",
        "lykeion.json",
        "model.tflite",
    ]


def test_model_signing_itself_verifies_a_pulled_directory(store: DiskStore, tmp_path: Path) -> None:
    from model_signing import verifying

    _, data = sign(store, SHOES, tmp_path / "shop.key")
    (tmp_path / "model.sig").write_bytes(data)
    pull(store, SHOES, tmp_path / "out", reporter=SILENT)
    config = verifying.Config().use_elliptic_key_verifier(public_key=tmp_path / "shop.pub")
    config.verify(tmp_path / "out", tmp_path / "model.sig")
    (tmp_path / "out" / "README.md").write_text("changed")
    with pytest.raises(ValueError, match="mismatch"):
        config.verify(tmp_path / "out", tmp_path / "model.sig")


def load_digest(data: bytes) -> str:
    from lykeion.core import digest_bytes

    return digest_bytes(data)
