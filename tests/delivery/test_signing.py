"""Keys, thresholds, expiry and rotation, each as devices see it: by the unmodified client of python-tuf."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, CryptoSigner, Key, Signature, Signer
from tuf.api import exceptions
from tuf.api.metadata import Metadata, Snapshot, Targets, Timestamp

from lykeion.delivery import (
    DeliveryError,
    KeyUnavailable,
    RepositoryDamaged,
    init,
    read_key,
    refresh,
    renew_root,
    revoke,
    rotate,
    rotate_model,
    set_minimum,
    sign_root,
    status,
)
from lykeion.delivery.tuf.signing_clock import WrongClock
from lykeion.delivery.tuf.signing_keys import Signing, own_key
from lykeion.delivery.tuf.tuf_state import read_state
from tests.delivery.fleet import Fleet
from tests.delivery.static_host import StaticHost

PATH = "shoes/v1/any"


def offline_key(path: Path) -> tuple[Path, Path]:
    """A private key, and its public part for others."""
    private = Ed25519PrivateKey.generate()
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    files = path.with_suffix(".pem"), path.with_suffix(".pub")
    files[0].write_bytes(private.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    files[1].write_bytes(private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return files


def reads(host: StaticHost, directory: Path, path: str = PATH, root: bytes | None = None) -> bool:
    """Whether a device finds a target, with everything verified on the way."""
    return host.client(directory, root).get_targetinfo(path) is not None


def resign(fleet: Fleet, name: str, change: Any, signing: Signing | None = None) -> None:
    """An attacker who has the online keys that the repository has, or other ones."""
    path = fleet.home / "public" / "metadata" / name
    metadata: Metadata[Any] = Metadata.from_file(str(path))
    change(metadata.signed)
    metadata.signatures.clear()
    settings = json.loads((fleet.home / "delivery.json").read_text())
    root = read_root(fleet)
    keys = [root.get_key(keyid) for keyid in root.get_delegated_role(metadata.signed.type).keyids]
    (signing or Signing(fleet.home, settings["key_uris"])).sign(metadata, keys)
    metadata.to_file(str(path))


def read_root(fleet: Fleet) -> Any:
    newest = max(
        (fleet.home / "public" / "metadata").glob("*.root.json"), key=lambda path: int(path.name.split(".")[0])
    )
    return Metadata.from_file(str(newest)).signed


def test_a_root_is_published_once_a_threshold_of_its_holders_has_signed(fleet: Fleet, host: StaticHost) -> None:
    holders = [offline_key(fleet.path / name) for name in ("alice", "bob", "carol")]
    found = init(fleet.home, root_keys=[read_key(str(public)) for _, public in holders], clock=fleet.clock)
    assert (found.published, found.missing, len(found.unsigned)) == (False, 2, 3)
    with pytest.raises(RepositoryDamaged, match="has not been signed yet"):
        refresh(fleet.home, clock=fleet.clock)
    assert not list((fleet.home / "public").rglob("*.json"))
    found = sign_root(fleet.home, [read_key(f"file2:{holders[0][0]}")], clock=fleet.clock)
    assert (found.published, found.missing) == (False, 1)
    assert sign_root(fleet.home, [read_key(f"file2:{holders[0][0]}")], clock=fleet.clock).missing == 1
    stranger, _ = offline_key(fleet.path / "mallory")
    with pytest.raises(DeliveryError, match="is not one of the root's"):
        sign_root(fleet.home, [read_key(f"file2:{stranger}")], clock=fleet.clock)
    assert sign_root(fleet.home, [read_key(f"file2:{holders[2][0]}")], clock=fleet.clock).published
    fleet.publish(1)
    assert reads(host, fleet.path / "device")
    assert not any(
        "root" in uri for uri in json.loads((fleet.home / "delivery.json").read_text())["key_uris"].values()
    )


def test_on_a_machine_without_the_online_keys_a_root_is_signed_but_not_published(fleet: Fleet) -> None:
    private, public = offline_key(fleet.path / "alice")
    init(fleet.home, root_keys=[read_key(str(public))], threshold=1, clock=fleet.clock)
    (fleet.home / "keys").rename(fleet.path / "elsewhere")
    found = sign_root(fleet.home, [read_key(f"file2:{private}")], clock=fleet.clock)
    assert (found.published, found.missing) == (False, 0)
    assert "targets is not signed: key" in found.problem
    (fleet.path / "elsewhere").rename(fleet.home / "keys")
    assert sign_root(fleet.home, clock=fleet.clock).published


class KmsSigner(Signer):
    """A key that is somewhere else and signs what it is sent; refuses while it is ``locked``."""

    locked = False
    keys: ClassVar[dict[str, CryptoSigner]] = {}

    def __init__(self, uri: str, key: Key) -> None:
        self._signer, self._key = self.keys[uri], key

    @property
    def public_key(self) -> Key:
        return self._key

    @classmethod
    def from_priv_key_uri(cls, priv_key_uri: str, public_key: Key, secrets_handler: object = None) -> "KmsSigner":
        return cls(priv_key_uri, public_key)

    def sign(self, payload: bytes) -> Signature:
        if self.locked:
            raise PermissionError("the token has expired")
        return self._signer.sign(payload)


def test_online_keys_stay_in_a_kms(fleet: Fleet, host: StaticHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIGNER_FOR_URI_SCHEME, "testkms", KmsSigner)
    role_keys = {}
    for role in ("snapshot", "timestamp"):
        private, public = offline_key(fleet.path / role)
        loaded = serialization.load_pem_private_key(private.read_bytes(), None)
        assert isinstance(loaded, Ed25519PrivateKey)
        KmsSigner.keys[f"testkms:{role}"] = CryptoSigner(loaded)
        role_keys[role] = [read_key(f"testkms:{role}={public}")]
        private.unlink()
    init(fleet.home, threshold=1, role_keys=role_keys, clock=fleet.clock)
    fleet.publish(1)
    assert reads(host, fleet.path / "device")
    assert {path.stem for path in (fleet.home / "keys").iterdir()} == {"root-1", "root-2", "targets", "model.shoes"}
    monkeypatch.setattr(KmsSigner, "locked", True)
    with pytest.raises(KeyUnavailable, match="timestamp is not signed: Failed to sign: the token has expired"):
        refresh(fleet.home, clock=fleet.clock)
    with pytest.raises(DeliveryError, match="add its public part"):
        read_key("testkms:snapshot")


def test_private_keys_are_readable_by_their_owner_only_and_never_published(fleet: Fleet) -> None:
    fleet.init()
    keys = list((fleet.home / "keys").glob("*.pem"))
    assert len(keys) == 5
    assert {path.stat().st_mode & 0o77 for path in keys} == {0}
    published = b"".join(path.read_bytes() for path in (fleet.home / "public").rglob("*") if path.is_file())
    assert b"PRIVATE" not in published


@pytest.mark.slow
@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "root"])
def test_after_a_rotation_devices_accept_the_new_key_and_not_the_old_one(
    fleet: Fleet, host: StaticHost, role: str
) -> None:
    fleet.init()
    fleet.publish(1)
    assert reads(host, fleet.path / "device")
    assert rotate(fleet.home, role, clock=fleet.clock).published
    assert reads(host, fleet.path / "device")
    assert reads(host, fleet.path / "new device")
    old = fleet.home / "keys" / (f"{role}-1.pem" if role == "root" else f"{role}.pem")
    old.unlink()
    refresh(fleet.home, clock=fleet.clock)
    fleet.publish(2)
    assert reads(host, fleet.path / "device", "shoes/v2/any")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_lost_online_key_is_replaced(fleet: Fleet, host: StaticHost, role: str) -> None:
    fleet.init()
    fleet.publish(1)
    assert reads(host, fleet.path / "device")
    (fleet.home / "keys" / f"{role}.pem").unlink()
    fleet.wait(days=4)
    if role == "timestamp":
        with pytest.raises(KeyUnavailable, match="timestamp is not signed"):
            refresh(fleet.home, clock=fleet.clock)
    assert rotate(fleet.home, role, clock=fleet.clock).published
    assert reads(host, fleet.path / "device")


def test_a_device_follows_five_rotations_of_all_root_keys(fleet: Fleet, host: StaticHost) -> None:
    fleet.init(threshold=2)
    fleet.publish(1)
    built_in = (fleet.home / "public" / "metadata" / "1.root.json").read_bytes()
    for _ in range(5):
        assert rotate(fleet.home, "root", clock=fleet.clock).published
    assert reads(host, fleet.path / "device", root=built_in)


def test_rotating_one_root_key_takes_the_old_threshold_and_the_new(fleet: Fleet) -> None:
    fleet.init(threshold=2)
    (fleet.home / "keys" / "root-1.pem").unlink()
    (fleet.home / "keys" / "root-2.pem").rename(fleet.path / "root-2.pem")
    gone = [keyid for keyid, uri in uris(fleet).items() if uri.endswith("root-1.pem")]
    found = rotate(fleet.home, "root", remove=[gone[0][:8]], clock=fleet.clock)
    assert (found.published, found.missing) == (False, 1)  # the new key counts for the new root, not for the old one
    assert status(fleet.home, clock=fleet.clock).staged == found
    assert sign_root(fleet.home, [read_key(f"file2:{fleet.path / 'root-2.pem'}")], clock=fleet.clock).published
    assert gone[0] not in read_root(fleet).keys
    with pytest.raises(DeliveryError, match="root has no such key"):
        rotate(fleet.home, "root", remove=["ffff"], clock=fleet.clock)
    with pytest.raises(DeliveryError, match="a threshold of 9 does not go with 3 keys"):
        rotate(fleet.home, "root", threshold=9, clock=fleet.clock)


def test_targets_may_take_two_signatures(fleet: Fleet, host: StaticHost) -> None:
    fleet.init()
    fleet.publish(1)
    keys = [read_key(f"file2:{offline_key(fleet.path / name)[0]}") for name in ("alice", "bob")]
    assert rotate(fleet.home, "targets", add=keys, threshold=2, clock=fleet.clock).published
    assert len(read_state(fleet.home).roles["targets"].signatures) == 3  # with the old key's, for the old root
    assert reads(host, fleet.path / "device")
    (fleet.path / "bob.pem").unlink()
    with pytest.raises(KeyUnavailable, match=r"targets is not signed: key .* is not at file2:"):
        rotate_model(fleet.home, "shoes", clock=fleet.clock)
    assert reads(host, fleet.path / "device")


@pytest.mark.slow
def test_a_models_key_is_replaced_by_that_of_targets(fleet: Fleet, host: StaticHost) -> None:
    fleet.init()
    fleet.publish(1)
    (fleet.home / "keys" / "model.shoes.pem").unlink()
    (keyid,) = rotate_model(fleet.home, "shoes", clock=fleet.clock)
    assert set(read_state(fleet.home).roles["model.shoes"].signatures) == {keyid}
    assert reads(host, fleet.path / "device")
    fleet.publish(2)
    assert reads(host, fleet.path / "device", "shoes/v2/any")


def test_wrong_key(fleet: Fleet, host: StaticHost) -> None:
    fleet.init()
    fleet.publish(1)
    stranger, _ = offline_key(fleet.path / "mallory")
    wrong = Signing(fleet.home, dict.fromkeys(uris(fleet), f"file2:{stranger}"))
    resign(fleet, "timestamp.json", lambda signed: None, wrong)
    with pytest.raises(exceptions.RepositoryError, match="signed by 0/1 keys"):
        reads(host, fleet.path / "device")


def test_expired(fleet: Fleet, host: StaticHost) -> None:
    fleet.now = datetime.now(UTC) - timedelta(days=4)
    fleet.init()
    fleet.publish(1)
    with pytest.raises(exceptions.ExpiredMetadataError, match="timestamp"):
        reads(host, fleet.path / "device")
    fleet.now = datetime.now(UTC)
    refresh(fleet.home, clock=fleet.clock)
    assert reads(host, fleet.path / "device")


@pytest.mark.slow
def test_rollback(fleet: Fleet, host: StaticHost) -> None:
    fleet.init()
    fleet.publish(1)
    old = (fleet.home / "public" / "metadata" / "timestamp.json").read_bytes()
    fleet.publish(2)
    assert reads(host, fleet.path / "device", "shoes/v2/any")
    (fleet.home / "public" / "metadata" / "timestamp.json").write_bytes(old)
    client = host.client(fleet.path / "device")
    with pytest.raises(exceptions.BadVersionNumberError):
        client.refresh()
    assert not reads(host, fleet.path / "new device", "shoes/v2/any")  # which cannot know better until it expires


@pytest.mark.slow
def test_mix_and_match(fleet: Fleet, host: StaticHost) -> None:
    fleet.init()
    fleet.publish(1)
    metadata = fleet.home / "public" / "metadata"
    old = (metadata / "1.model.shoes.json").read_bytes()
    fleet.publish(2)
    (metadata / "2.model.shoes.json").write_bytes(old)
    with pytest.raises(exceptions.RepositoryError):
        reads(host, fleet.path / "device", "shoes/v2/any")


def test_endless_data(fleet: Fleet, host: StaticHost) -> None:
    fleet.init()
    fleet.publish(1)
    path = fleet.home / "public" / "metadata" / "1.model.shoes.json"
    path.write_bytes(path.read_bytes() + b" " * 1_000_000)
    with pytest.raises(exceptions.DownloadLengthMismatchError):
        reads(host, fleet.path / "device")


def test_fast_forward_and_recovery(fleet: Fleet, host: StaticHost) -> None:
    """An attacker with the online keys signs a version far ahead; new keys for these roles make devices forget it."""
    fleet.init()
    fleet.publish(1)

    def far_ahead(signed: Timestamp) -> None:
        signed.version = 2**31

    honest = (fleet.home / "public" / "metadata" / "timestamp.json").read_bytes()
    resign(fleet, "timestamp.json", far_ahead)
    assert reads(host, fleet.path / "device")
    (fleet.home / "public" / "metadata" / "timestamp.json").write_bytes(honest)
    with pytest.raises(exceptions.BadVersionNumberError):
        reads(host, fleet.path / "device")
    rotate(fleet.home, "timestamp", clock=fleet.clock)
    assert reads(host, fleet.path / "device")


def test_compromise_of_the_online_roles_does_not_let_other_files_in(fleet: Fleet, host: StaticHost) -> None:
    """Whoever has the keys of snapshot and timestamp can list a forged model's role, but not sign it."""
    fleet.init()
    fleet.publish(1)
    metadata = fleet.home / "public" / "metadata"
    forged: Metadata[Targets] = Metadata.from_file(str(metadata / "1.model.shoes.json"))
    forged.signed.version = 2
    forged.to_file(str(metadata / "2.model.shoes.json"))

    def list_forged(signed: Snapshot) -> None:
        signed.meta["model.shoes.json"].version = 2
        signed.meta["model.shoes.json"].length = signed.meta["model.shoes.json"].hashes = None

    resign(fleet, "2.snapshot.json", list_forged)

    def without_hash(signed: Timestamp) -> None:
        signed.snapshot_meta.length = signed.snapshot_meta.hashes = None

    resign(fleet, "timestamp.json", without_hash)
    with pytest.raises(exceptions.UnsignedMetadataError):
        reads(host, fleet.path / "device")


@pytest.mark.slow
def test_what_somebody_changed_on_the_publishers_disk_is_not_signed_again(fleet: Fleet) -> None:
    fleet.init()
    fleet.publish(1)
    path = fleet.home / "public" / "metadata" / "1.model.shoes.json"
    path.write_bytes(
        path.read_bytes().replace(b'"threads": 2', b'"threads": 3').replace(b'"threads":2', b'"threads":3')
    )
    for change in (lambda: fleet.publish(2), lambda: refresh(fleet.home, clock=fleet.clock)):
        with pytest.raises(RepositoryDamaged, match=r"1\.model\.shoes\.json: .*; restore the repository"):
            change()


def test_status_warns_in_time_and_refresh_signs_what_is_due(fleet: Fleet, host: StaticHost) -> None:
    fleet.init()
    fleet.publish(1)
    assert not status(fleet.home, clock=fleet.clock).due
    fleet.wait(days=2.5)
    assert {each.role for each in status(fleet.home, clock=fleet.clock).roles if each.due} == {"timestamp"}
    assert refresh(fleet.home, clock=fleet.clock).roles == ("timestamp",)
    fleet.wait(days=1.5)
    assert refresh(fleet.home, clock=fleet.clock).roles == ("timestamp", "snapshot")
    fleet.wait(days=60)
    due = {each.role for each in status(fleet.home, clock=fleet.clock).roles if each.due}
    assert due == {"timestamp", "snapshot"}
    assert set(refresh(fleet.home, clock=fleet.clock).roles) == {"timestamp", "snapshot", "model.shoes"}
    fleet.wait(days=240)
    assert "root" in {each.role for each in status(fleet.home, clock=fleet.clock).roles if each.due}
    assert renew_root(fleet.home, clock=fleet.clock).published
    refresh(fleet.home, clock=fleet.clock)
    assert not status(fleet.home, clock=fleet.clock).due


def test_a_clock_that_is_behind_signs_nothing_and_one_that_was_ahead_is_healed_when_a_person_says_so(
    fleet: Fleet,
) -> None:
    fleet.init()
    fleet.publish(1)
    fleet.wait(days=-30)
    before = read_state(fleet.home).timestamp.signed.version
    for command in (
        lambda: refresh(fleet.home, clock=fleet.clock),
        lambda: fleet.publish(2),
        lambda: revoke(fleet.home, "shoes", 1, clock=fleet.clock),
        lambda: set_minimum(fleet.home, "shoes", 1, clock=fleet.clock),
        lambda: rotate_model(fleet.home, "shoes", clock=fleet.clock),
    ):
        with pytest.raises(WrongClock, match="set the clock, or, if it was wrong then, run lykeion delivery refresh"):
            command()
    assert read_state(fleet.home).timestamp.signed.version == before
    fleet.wait(days=3_680)  # ten years ahead
    refresh(fleet.home, clock=fleet.clock)
    fleet.wait(days=-3_650)
    found = status(fleet.home, clock=fleet.clock)
    assert {each.role for each in found.roles if each.due} == {"targets", "model.shoes", "snapshot", "timestamp"}
    refresh(fleet.home, clock_is_right=True, clock=fleet.clock)
    found = status(fleet.home, clock=fleet.clock)
    assert not found.due
    assert max(each.left.days for each in found.roles if each.role != "root") < 180


def test_refresh_without_a_models_key_says_so_and_signs_the_rest(fleet: Fleet) -> None:
    fleet.init()
    fleet.publish(1)
    (fleet.home / "keys" / "model.shoes.pem").rename(fleet.path / "away.pem")
    fleet.wait(days=60)
    found = refresh(fleet.home, clock=fleet.clock)
    assert set(found.roles) == {"timestamp", "snapshot"}
    (problem,) = found.problems
    assert problem.startswith("model.shoes is not signed: key ")


@pytest.mark.slow
def test_files_are_removed_a_week_after_nothing_leads_to_them_and_roots_never(fleet: Fleet) -> None:
    fleet.init()
    fleet.publish(1)
    rotate(fleet.home, "timestamp", clock=fleet.clock)
    for seed in (2, 3):
        fleet.publish(seed)
    public = fleet.home / "public"
    before = {path.relative_to(public).as_posix() for path in public.rglob("*") if path.is_file()}
    assert refresh(fleet.home, clock=fleet.clock).removed == ()
    fleet.wait(days=6)
    assert refresh(fleet.home, clock=fleet.clock).removed == ()
    fleet.wait(days=1.1)
    removed = set(refresh(fleet.home, clock=fleet.clock).removed)
    assert {"metadata/1.snapshot.json", "metadata/1.model.shoes.json"} <= removed
    assert len([path for path in removed if path.startswith("targets/shoes/v1/")]) == 2
    assert removed < before
    left = {path.relative_to(public).as_posix() for path in public.rglob("*") if path.is_file()}
    assert {"metadata/1.root.json", "metadata/2.root.json"} <= left
    assert not [path for path in left if path.startswith("targets/shoes/v1/")]
    assert len([path for path in left if path.startswith("targets/shoes/v2/")]) == 2


def uris(fleet: Fleet) -> dict[str, str]:
    return json.loads((fleet.home / "delivery.json").read_text())["key_uris"]


def test_other_roles_than_the_root_may_need_several_signatures_from_the_start(fleet: Fleet) -> None:
    thresholds = {"targets": 2, "timestamp": 3}
    assert init(fleet.home, threshold=1, thresholds=thresholds, clock=fleet.clock).published
    metadata = fleet.home / "public" / "metadata"
    signed = {
        name: len(json.loads((metadata / f"{name}.json").read_text())["signatures"])
        for name in ("1.targets", "1.snapshot", "timestamp")
    }
    assert signed == {"1.targets": 2, "1.snapshot": 1, "timestamp": 3}
    fleet.publish(1)
    assert len(json.loads((metadata / "timestamp.json").read_text())["signatures"]) == 3
    with pytest.raises(DeliveryError, match="a threshold of 2 does not go with 1 targets keys"):
        init(fleet.path / "other", role_keys={"targets": (own_key(fleet.path, "one"),)}, thresholds={"targets": 2})
