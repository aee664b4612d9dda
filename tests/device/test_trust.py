"""The device's client against a repository that delivery makes: attacks by name, clocks, interruptions, rotations."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, MetaFile, SuccinctRoles, Targets

from lykeion.delivery import init, refresh, rotate
from lykeion.delivery.tuf.editions import keys_of, next_edition
from lykeion.delivery.tuf.signing_keys import Signing, own_key
from lykeion.delivery.tuf.target_sets import files_of, roles_with, target_file, with_model
from lykeion.delivery.tuf.tuf_repository import opened
from lykeion.device import ModelLimits, RecordError, SignedTarget
from lykeion.device.errors import UpdateMissing, UpdateRefused, UpdateUnavailable
from lykeion.device.trusted_metadata import TrustedMetadata

DIGEST = "sha256:" + "0f" * 32
TARGET = SignedTarget("shoes", 1, DIGEST, "any", "litert", 2, "2.1.0", "3", DIGEST, 1_000, "none")
NOW = datetime(2026, 11, 30, tzinfo=UTC)
BUILT = datetime(2026, 11, 1, tzinfo=UTC)


class Repository:
    """A publisher, and the files that a device is given, which tests may change on the way."""

    def __init__(self, path: Path, threshold: int = 1) -> None:
        self.path, self.home, self.now = path, path / "tuf", NOW
        self.on_the_way: Callable[[str, bytes], bytes] = lambda name, data: data
        self.fetched: list[str] = []
        assert init(self.home, threshold=threshold, clock=self.clock).published
        self.built_in = (self.home / "public" / "metadata" / "1.root.json").read_bytes()

    def clock(self) -> datetime:
        return self.now

    def publish(self, *targets: SignedTarget, limits: ModelLimits | None = None) -> None:
        """These are all targets of their model."""
        model = targets[0].model
        with opened(self.home, clock=self.clock) as repository:
            state, changed = repository.state(), {}
            files = {each.path: target_file(each.path, each.path.encode(), each) for each in targets}
            files[f"{model}/limits"] = target_file(f"{model}/limits", b"{}", limits or ModelLimits(model))
            top = state.targets
            if f"model.{model}" not in state.roles:
                key = own_key(self.home, f"model.{model}")
                repository.set(repository.settings.with_keys([key]))
                changed["targets"] = top = with_model(top, model, [key.public])
            changed |= roles_with(model, files, state.roles, keys_of(top, f"model.{model}"))
            self.state = repository.commit(next_edition(state, repository.press, changed))

    def fetch(self, name: str, limit: int) -> bytes:
        path = self.home / "public" / "metadata" / name
        self.fetched.append(name)
        if not path.exists():
            raise UpdateMissing(f"{name}: there is none")
        data = self.on_the_way(name, path.read_bytes())
        if len(data) > limit:
            raise UpdateRefused(f"{name}: more than {limit:,} bytes")
        return data

    def device(self, name: str = "device", built_in: bytes = b"", built_at: datetime = BUILT) -> TrustedMetadata:
        return TrustedMetadata(self.path / name, built_in or self.built_in, built_at)

    def resign(self, name: str, change: Callable[[Any], None], stolen: tuple[str, ...]) -> None:
        """An attacker signs a file of the repository with the keys of the ``stolen`` roles."""
        path = self.home / "public" / "metadata" / name
        metadata: Metadata[Any] = Metadata.from_file(str(path))
        change(metadata.signed)
        metadata.signatures.clear()
        uris = json.loads((self.home / "delivery.json").read_text())["key_uris"]
        for role in stolen:  # as the last publication had them
            delegator = self.state.targets if role.startswith("model.") else self.state.root.signed
            Signing(self.home, uris).sign(metadata, keys_of(delegator, role))
        metadata.to_file(str(path))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path)
    repository.publish(TARGET)
    return repository


def update(device: TrustedMetadata, repository: Repository, now: datetime = NOW, *models: str) -> None:
    device.update(repository.fetch, models or ("shoes",), now)


def test_a_device_reads_what_delivery_publishes(repository: Repository) -> None:
    device = repository.device()
    assert device.target(TARGET.path) is None
    update(device, repository)
    found = device.target(TARGET.path)
    assert found is not None
    assert found.record == TARGET
    assert found.name == f"shoes/v1/{found.sha256}.any"
    assert device.target("shoes/v2/any") is None
    assert device.limits("shoes") == ModelLimits("shoes")


def test_what_is_current_is_not_fetched_again(repository: Repository) -> None:
    update(repository.device(), repository)
    repository.fetched.clear()
    update(repository.device(), repository)
    assert repository.fetched == ["2.root.json", "timestamp.json"]
    repository.publish(replace(TARGET, version=2))
    repository.fetched.clear()
    update(repository.device(), repository)
    assert repository.fetched == ["2.root.json", "timestamp.json", "3.snapshot.json", "2.model.shoes.json"]


def test_rollback(repository: Repository) -> None:
    old = repository.fetch("timestamp.json", 1 << 20)
    repository.publish(replace(TARGET, version=2))
    update(repository.device(), repository)
    repository.on_the_way = lambda name, data: old if name == "timestamp.json" else data
    device = repository.device()
    with pytest.raises(UpdateRefused, match="rollback"):
        update(device, repository)
    assert device.target(TARGET.path) is None


def test_rollback_of_one_role_by_a_thief_of_the_online_keys(repository: Repository) -> None:
    repository.publish(replace(TARGET, version=2))
    update(repository.device(), repository)
    repository.publish(replace(TARGET, version=3))

    def older(signed: Any) -> None:
        signed.meta["model.shoes.json"].version = 1
        signed.meta["model.shoes.json"].length = signed.meta["model.shoes.json"].hashes = None

    def unhashed(signed: Any) -> None:
        signed.snapshot_meta.length = signed.snapshot_meta.hashes = None

    repository.resign("timestamp.json", unhashed, ("timestamp",))
    repository.resign("4.snapshot.json", older, ("snapshot",))
    with pytest.raises(UpdateRefused, match=r"older model\.shoes"):
        update(repository.device(), repository)


def test_freeze(repository: Repository) -> None:
    """Somebody keeps serving the same metadata: devices see that they expire, also with a clock set back."""
    update(repository.device(), repository, NOW + timedelta(days=2))
    with pytest.raises(UpdateRefused, match="timestamp expired on 2026-12-03"):
        update(repository.device(), repository, NOW + timedelta(days=3, seconds=1))
    later = repository.device("other", built_at=NOW + timedelta(days=4))
    with pytest.raises(UpdateRefused, match="timestamp expired"):
        update(later, repository, datetime(1970, 1, 1, tzinfo=UTC))


def test_mix_and_match(repository: Repository) -> None:
    old = repository.fetch("1.model.shoes.json", 1 << 20)
    repository.publish(replace(TARGET, version=2))
    repository.on_the_way = lambda name, data: old if name == "2.model.shoes.json" else data
    with pytest.raises(UpdateRefused):
        update(repository.device(), repository)


def test_endless_data(repository: Repository) -> None:
    repository.on_the_way = lambda name, data: data + b" " * 6_000_000
    with pytest.raises(UpdateRefused, match=r"2?\.?\w+\.json: more than"):
        update(repository.device(), repository)


def test_wrong_key(repository: Repository) -> None:
    for name, stolen in (("timestamp.json", "snapshot"), ("2.snapshot.json", "timestamp")):
        honest = repository.fetch(name, 1 << 20)
        repository.resign(name, lambda signed: None, (stolen,))
        with pytest.raises(UpdateRefused):
            update(repository.device(), repository)
        (repository.home / "public" / "metadata" / name).write_bytes(honest)
    update(repository.device(), repository)


@pytest.mark.parametrize("stolen", ["timestamp", "snapshot", "targets", "model.shoes", "model.hats"])
def test_compromise_of_one_role_does_not_put_another_file_on_a_device(repository: Repository, stolen: str) -> None:
    """Even a model's own key needs the online ones, which list what it signs."""
    repository.publish(replace(TARGET, model="hats"))
    role = "model.hats" if stolen == "model.hats" else "model.shoes"
    path = f"{role.removeprefix('model.')}/v1/any"

    def three_threads(signed: Any) -> None:
        signed.targets[path].unrecognized_fields["custom"]["threads"] = 3

    before = repository.fetch(f"1.{role}.json", 1 << 20)
    repository.resign(f"1.{role}.json", three_threads, (stolen,))
    assert len(repository.fetch(f"1.{role}.json", 1 << 20)) == len(before)
    device = repository.device()
    with pytest.raises(UpdateRefused):
        update(device, repository, NOW, "shoes", "hats")
    assert device.target(path) is None


def test_compromise_of_the_timestamp_does_not_bring_back_an_older_snapshot(repository: Repository) -> None:
    repository.publish(replace(TARGET, version=2))
    update(repository.device(), repository)

    def older(signed: Any) -> None:
        signed.version += 1
        signed.snapshot_meta = MetaFile(2)

    repository.resign("timestamp.json", older, ("timestamp",))
    with pytest.raises(UpdateRefused, match="names an older snapshot"):
        update(repository.device(), repository)


def test_compromise_of_all_online_roles_does_not_put_another_file_on_a_device(repository: Repository) -> None:
    """The server is compromised, and snapshot and timestamp are stolen: they list a forged role, which has no key."""
    forged = replace(TARGET, version=9)
    file = target_file(forged.path, b"evil", forged)

    def unhashed(signed: Any) -> None:
        for meta in (signed.snapshot_meta,) if signed.type == "timestamp" else signed.meta.values():
            meta.length = meta.hashes = None

    for name, stolen in (("timestamp.json", "timestamp"), ("2.snapshot.json", "snapshot")):
        repository.resign(name, unhashed, (stolen,))
    name = "1.model.shoes.json"
    repository.resign(name, lambda signed: signed.targets.update({forged.path: file}), ("timestamp", "snapshot"))
    with pytest.raises(UpdateRefused, match=r"model\.shoes was signed by 0/1 keys"):
        update(repository.device(), repository)


def test_one_of_two_root_keys_signs_no_root(tmp_path: Path) -> None:
    repository = Repository(tmp_path, threshold=2)
    repository.publish(TARGET)
    rotate(repository.home, "timestamp", clock=repository.clock)
    path = repository.home / "public" / "metadata" / "2.root.json"
    root: Metadata[Any] = Metadata.from_file(str(path))
    root.signatures.pop(next(iter(root.signatures)))
    root.signatures.pop(next(iter(root.signatures)))
    assert len(root.signatures) == 1
    root.to_file(str(path))
    with pytest.raises(UpdateRefused, match="root was signed by 1/2 keys"):
        update(repository.device(), repository)


def test_a_root_that_only_new_keys_have_signed_is_refused(repository: Repository) -> None:
    """Somebody makes a root of their own, with a higher version."""
    other = Repository(repository.path / "mallory")
    for _ in range(2):
        rotate(other.home, "root", clock=other.clock)
    forged = other.fetch("2.root.json", 1 << 20)
    (repository.home / "public" / "metadata" / "2.root.json").write_bytes(forged)
    with pytest.raises(UpdateRefused, match="root was signed by 0/1 keys"):
        update(repository.device(), repository)


def test_a_signed_target_of_another_model_is_not_found_in_a_models_role(repository: Repository) -> None:
    """Whoever owns hats cannot publish shoes: its role is not asked about them."""
    evil = replace(TARGET, version=9)
    repository.publish(replace(TARGET, model="hats"))
    with opened(repository.home, clock=repository.clock) as open_repository:
        state = open_repository.state()
        files = {**files_of(state, "hats"), evil.path: target_file(evil.path, b"evil", evil)}
        content = roles_with("hats", files, state.roles, keys_of(state.targets, "model.hats"))
        open_repository.commit(next_edition(state, open_repository.press, content))
    device = repository.device()
    update(device, repository, NOW, "shoes", "hats")
    assert device.target(evil.path) is None


def test_a_signed_target_of_another_class_is_refused(repository: Repository) -> None:
    """A record under another path than its own, by mistake or by whoever writes metadata."""
    with opened(repository.home, clock=repository.clock) as open_repository:
        state = open_repository.state()
        file = target_file("shoes/v1/low", b"x", TARGET)
        content = roles_with("shoes", {file.path: file}, state.roles, keys_of(state.targets, "model.shoes"))
        open_repository.commit(next_edition(state, open_repository.press, content))
    device = repository.device()
    update(device, repository)
    with pytest.raises(RecordError, match="its record is of shoes/v1/any"):
        device.target("shoes/v1/low")


def test_fast_forward_and_recovery(repository: Repository) -> None:
    honest = repository.fetch("timestamp.json", 1 << 20)
    repository.resign("timestamp.json", lambda signed: setattr(signed, "version", 2**31), ("timestamp",))
    update(repository.device(), repository)
    (repository.home / "public" / "metadata" / "timestamp.json").write_bytes(honest)
    with pytest.raises(UpdateRefused, match="rollback"):
        update(repository.device(), repository)
    rotate(repository.home, "timestamp", clock=repository.clock)
    update(repository.device(), repository)


def test_a_root_that_its_own_keys_have_not_signed_is_refused(repository: Repository) -> None:
    """A mistake in a ceremony that would leave devices with a root that nobody can follow."""
    root = deepcopy(repository.state.root.signed)
    root.version = 2
    for keyid in list(root.roles["root"].keyids):
        root.revoke_key(keyid, "root")
    root.add_key(own_key(repository.home, "new").public, "root")
    metadata: Metadata[Any] = Metadata(root)
    uris = json.loads((repository.home / "delivery.json").read_text())["key_uris"]
    Signing(repository.home, uris).sign(metadata, keys_of(repository.state.root.signed, "root"))
    metadata.to_file(str(repository.home / "public" / "metadata" / "2.root.json"))
    with pytest.raises(UpdateRefused, match="root was signed by 0/1 keys"):
        update(repository.device(), repository)


def test_a_root_cannot_be_skipped(repository: Repository) -> None:
    for _ in range(2):
        rotate(repository.home, "timestamp", clock=repository.clock)
    later = repository.fetch("3.root.json", 1 << 20)
    repository.on_the_way = lambda name, data: later if name == "2.root.json" else data
    with pytest.raises(UpdateRefused, match="root 3 instead of 2"):
        update(repository.device(), repository)


def test_an_expired_root_stops_updates(repository: Repository) -> None:
    repository.now += timedelta(days=366)
    refresh(repository.home, clock=repository.clock)
    with pytest.raises(UpdateRefused, match="root expired"):
        update(repository.device(), repository, repository.now)


def test_an_older_snapshot_under_a_newer_ones_name_is_refused_without_hashes_too(repository: Repository) -> None:
    def unhashed(signed: Any) -> None:
        signed.snapshot_meta.length = signed.snapshot_meta.hashes = None

    repository.resign("timestamp.json", unhashed, ("timestamp",))
    old = repository.fetch("1.snapshot.json", 1 << 20)
    repository.on_the_way = lambda name, data: old if name == "2.snapshot.json" else data
    with pytest.raises(UpdateRefused, match="snapshot 1 instead of 2"):
        update(repository.device(), repository)


def test_a_snapshot_of_the_right_version_but_other_content_is_refused(repository: Repository) -> None:
    """A thief of the snapshot's key, who cannot have it named by the timestamp."""
    repository.resign("2.snapshot.json", lambda signed: signed.meta.pop("model.shoes.json"), ("snapshot",))
    with pytest.raises(UpdateRefused, match="Observed"):
        update(repository.device(), repository)


def test_metadata_of_another_kind_is_refused_even_if_the_key_is_right(repository: Repository) -> None:
    path = repository.home / "public" / "metadata" / "timestamp.json"
    path.write_bytes(repository.fetch("2.targets.json", 1 << 20))
    repository.resign("timestamp.json", lambda signed: None, ("timestamp",))
    with pytest.raises(UpdateRefused, match="timestamp is targets"):
        update(repository.device(), repository)


def test_after_a_failure_nothing_is_offered_until_the_next_update(repository: Repository) -> None:
    repository.publish(replace(TARGET, model="hats"))

    def cut(name: str, data: bytes) -> bytes:
        if "hats" in name:
            raise UpdateUnavailable("the connection was lost")
        return data

    device = repository.device()
    repository.on_the_way = cut
    with pytest.raises(UpdateUnavailable):
        update(device, repository, NOW, "shoes", "hats")
    assert device.target(TARGET.path) is None


def test_a_clock_that_is_set_back_goes_no_further_than_to_the_last_update(repository: Repository) -> None:
    back = datetime(1970, 1, 1, tzinfo=UTC)
    assert repository.device().time(back) == BUILT
    update(repository.device(), repository, NOW + timedelta(days=2))
    assert repository.device().time(back) == NOW + timedelta(days=2)
    with pytest.raises(UpdateRefused):
        update(repository.device(), repository, NOW + timedelta(days=900))
    assert repository.device().time(back) == NOW + timedelta(days=2)


def test_path_escape(repository: Repository) -> None:
    """A model's owner signs a target outside of the folder of its versions."""
    path = "shoes/v1/../../../etc/passwd"
    with opened(repository.home, clock=repository.clock) as open_repository:
        state = open_repository.state()
        files = {path: target_file(path, b"evil", TARGET)}
        content = roles_with("shoes", files, state.roles, keys_of(state.targets, "model.shoes"))
        open_repository.commit(next_edition(state, open_repository.press, content))
    device = repository.device()
    update(device, repository)
    assert device.target(path) is None


def test_software_without_a_root_is_refused(repository: Repository) -> None:
    unsigned = Metadata(repository.state.root.signed).to_bytes()
    for data in (b"", b"{}", b"\xff", repository.fetch("timestamp.json", 1 << 20), unsigned):
        with pytest.raises(UpdateRefused, match="the software's root"):
            TrustedMetadata(repository.path / "device", data, BUILT)


def test_what_is_kept_are_the_bytes_that_were_signed(repository: Repository) -> None:
    update(repository.device(), repository)
    published = {"root": "1.root", "timestamp": "timestamp", "snapshot": "2.snapshot", "targets": "2.targets"}
    for kept, name in (published | {"model.shoes": "1.model.shoes"}).items():
        data = (repository.path / "device" / f"{kept}.json").read_bytes()
        assert data == (repository.home / "public" / "metadata" / f"{name}.json").read_bytes()


def test_a_second_timestamp_of_one_version_is_not_taken(repository: Repository) -> None:
    update(repository.device(), repository)
    first = (repository.path / "device" / "timestamp.json").read_bytes()
    later = (NOW + timedelta(days=2)).replace(microsecond=0)
    repository.resign("timestamp.json", lambda signed: setattr(signed, "expires", later), ("timestamp",))
    update(repository.device(), repository)
    assert (repository.path / "device" / "timestamp.json").read_bytes() == first


@pytest.mark.parametrize(("days", "role"), [(8, "snapshot"), (91, "targets"), (181, "targets")])
def test_each_role_that_has_expired_stops_updates(repository: Repository, days: int, role: str) -> None:
    """The online keys sign on, as a thief of them would; what they cannot sign expires all the same."""
    now = NOW + timedelta(days=days)

    def fresh(signed: Any) -> None:
        signed.expires = now + timedelta(days=1)
        for meta in (signed.snapshot_meta,) if signed.type == "timestamp" else signed.meta.values():
            meta.length = meta.hashes = None

    repository.resign("timestamp.json", fresh, ("timestamp",))
    if role != "snapshot":
        repository.resign("2.snapshot.json", fresh, ("snapshot",))
    with pytest.raises(UpdateRefused, match=f"{role} expired"):
        update(repository.device(), repository, now)


def test_a_key_counts_once_however_often_it_signs(tmp_path: Path) -> None:
    repository = Repository(tmp_path, threshold=2)
    repository.publish(TARGET)
    root = json.loads(repository.fetch("1.root.json", 1 << 20))
    root["signatures"] = root["signatures"][:1] * 2
    with pytest.raises(UpdateRefused, match="the software's root"):
        TrustedMetadata(tmp_path / "device", json.dumps(root).encode(), BUILT)


def test_a_role_does_not_leave_the_snapshot(repository: Repository) -> None:
    update(repository.device(), repository)
    repository.publish(replace(TARGET, version=2))

    def without(signed: Any) -> None:
        if signed.type == "timestamp":
            signed.snapshot_meta.length = signed.snapshot_meta.hashes = None
        else:
            del signed.meta["model.shoes.json"]

    repository.resign("timestamp.json", without, ("timestamp",))
    repository.resign("3.snapshot.json", without, ("snapshot",))
    with pytest.raises(UpdateRefused, match=r"older model\.shoes"):
        update(repository.device(), repository)


def test_a_role_whose_name_leaves_the_directory_is_kept_inside(repository: Repository) -> None:
    """A model's owner names the bins of its role: such a name must not become a path."""
    name = "../../outside"
    with opened(repository.home, clock=repository.clock) as open_repository:
        state, key = open_repository.state(), keys_of(repository.state.targets, "model.shoes")[0]
        bins = SuccinctRoles([key.keyid], 1, 1, name)
        role = Targets(delegations=Delegations({key.keyid: key}, succinct_roles=bins))
        press, metadata = open_repository.press, repository.home / "public" / "metadata"
        signed = {each: press.signed(each, Targets(), role) for each in bins.get_roles()}
        content = next_edition(state, press, {"model.shoes": role, **{each: signed[each].signed for each in signed}})
        for file, data in content.files:
            (metadata / quote(file, "")).write_bytes(data)
    device, before = repository.device(), {path.name for path in repository.path.iterdir()}

    device.update(repository.fetch, ["shoes"], NOW, [TARGET.path])
    assert {path.name for path in repository.path.iterdir()} == before | {"device"}
    assert any("outside" in path.name for path in (repository.path / "device").iterdir())


def test_delegations_are_searched_in_preorder_up_to_a_terminating_one(repository: Repository) -> None:
    key = keys_of(repository.state.targets, "model.shoes")[0]

    def role(*below: tuple[str, bool], has: str = "") -> Targets:
        roles = {name: DelegatedRole(name, [key.keyid], 1, ends, paths=["*"]) for name, ends in below}
        file = {has: target_file(has, b"x", TARGET)} if has else {}
        return Targets(targets=file, delegations=Delegations({key.keyid: key}, roles=roles))

    graph = {
        "targets": role(("a", False), ("b", True), ("c", False)),
        "a": role(("d", False), ("a", False)),
        "b": role(("a", False), ("e", False), ("b", False)),
        "c": role(has="only-in-c"),
        "d": role(),
        "e": role(has="in-e"),
    }
    for path, found, order in (("in-e", True, "targets a d b e"), ("only-in-c", False, "targets a d b e")):
        visited: list[str] = []

        def load(name: str, delegator: str, visited: list[str] = visited) -> Targets:
            visited.append(name)
            return graph[name]

        assert (repository.device()._search(path, load) is not None) is found
        assert visited == order.split()


def test_a_path_that_leaves_its_folder_is_no_target(repository: Repository) -> None:
    device = repository.device()
    update(device, repository)
    for path in ("shoes/../hats/v1/any", "../../etc/passwd", "shoes//v1/any", "/shoes/v1/any", "", "shoes"):
        assert device.target(path) is None


def test_a_clock_at_1970_then_ten_years_ahead_then_right_again(repository: Repository) -> None:
    device = repository.device()
    update(device, repository, datetime(1970, 1, 1, tzinfo=UTC))
    assert device.target(TARGET.path) is not None
    with pytest.raises(UpdateRefused, match="expired"):
        update(device, repository, NOW + timedelta(days=3_650))
    update(device, repository, NOW)
    assert device.target(TARGET.path) is not None


def test_two_years_offline_across_five_root_rotations(repository: Repository) -> None:
    update(repository.device(), repository)
    for _ in range(5):
        repository.now += timedelta(days=150)
        assert rotate(repository.home, "root", clock=repository.clock).published
        refresh(repository.home, clock=repository.clock)
    device = repository.device()
    update(device, repository, repository.now)
    assert device.target(TARGET.path) is not None
    update(repository.device("new"), repository, repository.now)


def test_expired_while_an_update_was_half_done(repository: Repository) -> None:
    def cut(name: str, data: bytes) -> bytes:
        if name.endswith("model.shoes.json"):
            raise UpdateUnavailable("the connection was lost")
        return data

    repository.on_the_way = cut
    with pytest.raises(UpdateUnavailable):
        update(repository.device(), repository)
    repository.on_the_way = lambda name, data: data
    later = NOW + timedelta(days=5)
    with pytest.raises(UpdateRefused, match="timestamp expired"):
        update(repository.device(), repository, later)
    repository.now = later
    refresh(repository.home, clock=repository.clock)
    device = repository.device()
    update(device, repository, later)
    assert device.target(TARGET.path) is not None


def test_an_update_goes_on_where_it_was_interrupted(repository: Repository) -> None:
    names = ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json", "1.model.shoes.json"]
    for place in range(1, len(names)):

        def cut(name: str, data: bytes, at: str = names[place]) -> bytes:
            if name == at:
                raise UpdateUnavailable("the connection was lost")
            return data

        repository.on_the_way = cut
        with pytest.raises(UpdateUnavailable):
            update(repository.device(f"d{place}"), repository)
        repository.on_the_way = lambda name, data: data
        repository.fetched.clear()
        update(repository.device(f"d{place}"), repository)
        assert repository.fetched == [*names[:2], *names[max(place, 2) :]]


def test_new_software_with_another_first_root_starts_again_from_that(repository: Repository, tmp_path: Path) -> None:
    update(repository.device(), repository)
    rotate(repository.home, "root", clock=repository.clock)
    update(repository.device(), repository)
    lost = Repository(tmp_path / "new")  # all root keys were lost: a new repository, and new software
    lost.publish(TARGET)
    device = TrustedMetadata(tmp_path / "device", lost.built_in, BUILT)
    update(device, lost)
    assert device.target(TARGET.path) is not None


def test_a_kept_file_that_is_damaged_is_fetched_again(repository: Repository) -> None:
    update(repository.device(), repository)
    for path in (repository.path / "device").iterdir():
        kept = path.read_bytes()
        path.write_bytes(kept[: len(kept) // 2])
        update(repository.device(), repository)
        path.write_bytes(b"")
        update(repository.device(), repository)


def test_a_models_bin_is_fetched_for_a_path(repository: Repository) -> None:
    many = [replace(TARGET, device_class=f"c{number}") for number in range(2_001)]
    repository.publish(*many)
    repository.fetched.clear()
    device = repository.device()
    device.update(repository.fetch, ["shoes"], NOW, [many[5].path])
    found = device.target(many[5].path)
    assert found is not None
    assert found.record == many[5]
    assert sum(".bin-" in name for name in repository.fetched) == 1
