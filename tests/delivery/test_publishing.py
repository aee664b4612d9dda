"""What is published is what the unmodified client of python-tuf reads over HTTP."""

from dataclasses import replace
from pathlib import Path

import pytest
from tuf.ngclient import Updater

from lykeion.core import digest_bytes
from lykeion.delivery import (
    DeliveryError,
    NoSuchTarget,
    PublishOptions,
    explain,
    publish,
    read_key,
    revoke,
    set_minimum,
)
from lykeion.delivery.tuf.target_sets import files_of, records_of, roles_with, target_file
from lykeion.delivery.tuf.tuf_state import read_state
from lykeion.device import (
    Delta,
    ModelLimits,
    RecordError,
    SignedTarget,
    apply_delta,
    read_companion,
    read_limits,
    read_target,
)
from lykeion.engines import LiteRTEngine
from lykeion.litert.packed import unpack
from lykeion.registry import Untrusted
from tests.delivery.fleet import CLASSES, Fleet
from tests.delivery.static_host import StaticHost
from tests.registry.keys import key_pair


def record(client: Updater, path: str) -> SignedTarget:
    target = client.get_targetinfo(path)
    assert target is not None, path
    return read_target(target.custom, path)


def limits(client: Updater) -> ModelLimits:
    target = client.get_targetinfo("shoes/limits")
    assert target is not None
    return read_limits(target.custom, target.path)


def test_a_version_is_downloaded_by_the_client_of_python_tuf(fleet: Fleet, host: StaticHost, tmp_path: Path) -> None:
    fleet.init()
    files = fleet.push(1)
    publish(fleet.home, "shoes:champion", PublishOptions(fleet.classes(files)), clock=fleet.clock)
    client = host.client(tmp_path / "device")
    for device_class, network in (("low", "tiny"), ("any", "wide")):
        target = client.get_targetinfo(f"shoes/v1/{device_class}")
        assert target is not None
        found = read_target(target.custom, target.path)
        assert (found.engine, found.threads, found.runtime_from, found.runtime_below) == ("litert", 2, "2.1.0", "3")
        assert (found.file, found.file_bytes) == (digest_bytes(files[network]), len(files[network]))
        downloaded = Path(client.download_target(target)).read_bytes()
        assert found.packing == "lykpack"
        assert unpack(downloaded) == files[network]
    assert limits(client) == ModelLimits("shoes")
    assert client.get_targetinfo("shoes/v2/low") is None


@pytest.mark.slow
def test_devices_get_a_delta_from_the_version_that_they_have(fleet: Fleet, host: StaticHost, tmp_path: Path) -> None:
    fleet.init()
    fleet.publish(1)
    fleet.publish(2)
    client = host.client(tmp_path / "device")
    old, new = record(client, "shoes/v1/any"), record(client, "shoes/v2/any")
    (delta,) = new.deltas
    assert delta.base == old.file
    assert not old.deltas
    target = client.get_targetinfo(old.path)
    assert target is not None
    base = unpack(Path(client.download_target(target)).read_bytes())
    content = (host.public / "targets" / "shoes" / "delta" / delta.digest.removeprefix("sha256:")).read_bytes()
    assert digest_bytes(content) == delta.digest
    made = apply_delta(delta.method, base, content, size=new.file_bytes, digest=new.file)
    assert digest_bytes(made) == new.file


def test_golden_photos_come_with_the_answers_of_the_file_that_a_class_runs(fleet: Fleet) -> None:
    fleet.init()
    golden = _photos(fleet.path / "golden")
    files = fleet.push(1)
    found = publish(fleet.home, "shoes:v1", PublishOptions(fleet.classes(files), golden=golden), clock=fleet.clock)
    for target, network in zip(found.targets, ("tiny", "wide"), strict=True):
        assert target.companion is not None
        path = fleet.home / "public" / "targets" / "shoes" / "companion" / target.companion.digest[7:]
        companion = read_companion(path.read_bytes())
        assert companion.card.name == network
        assert companion.labels == ("a", "b", "c", "d")
        assert len(companion.golden) == 2
        from lykeion.device.companion import wrong_answers

        engine = LiteRTEngine(files[network])
        assert wrong_answers(companion, engine) == []
        other = replace(companion, golden=tuple(replace(g, label=(g.label + 1) % 4) for g in companion.golden))
        assert len(wrong_answers(other, engine)) == 2


def test_the_trust_policy_of_the_registry_is_asked_about_the_version(fleet: Fleet) -> None:
    fleet.init()
    private, public = key_pair(fleet.path / "trainer")
    policy = fleet.path / "trust.toml"
    policy.write_text(f'[[rule]]\nnames = ["shoes"]\nkeys = ["{public.name}"]\n')
    options = PublishOptions(fleet.classes(fleet.push(1)), trust=policy)
    with pytest.raises(Untrusted, match="not signed"):
        publish(fleet.home, "shoes:champion", options, clock=fleet.clock)
    assert files_of(read_state(fleet.home), "shoes") == {}
    options = PublishOptions(fleet.classes(fleet.push(2, key=private)), trust=policy)
    assert publish(fleet.home, "shoes:champion", options, clock=fleet.clock).version == 2


@pytest.mark.slow
def test_targets_leave_the_metadata_once_nobody_needs_them(fleet: Fleet, host: StaticHost, tmp_path: Path) -> None:
    fleet.init()
    for seed in (1, 2, 3):
        fleet.publish(seed)
    assert fleet.publish(4, needed=(2,)).removed == ()
    assert fleet.publish(5).removed == (3, 2)
    client = host.client(tmp_path / "device")
    there = [client.get_targetinfo(f"shoes/v{version}/any") is not None for version in range(1, 6)]
    assert there == [False, False, False, True, True]


@pytest.mark.slow
def test_below_the_minimum_nothing_is_offered_or_published(fleet: Fleet, host: StaticHost, tmp_path: Path) -> None:
    fleet.init()
    fleet.publish(1)
    with pytest.raises(NoSuchTarget, match="publish one first"):
        set_minimum(fleet.home, "shoes", 2, clock=fleet.clock)
    fleet.publish(2)
    set_minimum(fleet.home, "shoes", 2, clock=fleet.clock)
    client = host.client(tmp_path / "device")
    assert limits(client).minimum == 2
    assert client.get_targetinfo("shoes/v1/any") is None
    options = PublishOptions(fleet.classes(fleet.push(1)))  # with reports of the first version's files
    with pytest.raises(DeliveryError, match=r"v1 is below the minimum, v2; .*lykeion delivery minimum shoes v1"):
        publish(fleet.home, "shoes:v1", options, clock=fleet.clock)
    set_minimum(fleet.home, "shoes", 1, clock=fleet.clock)
    assert publish(fleet.home, "shoes:v1", options, clock=fleet.clock).version == 1


@pytest.mark.slow
def test_a_revoked_version_leaves_and_does_not_come_back(fleet: Fleet, host: StaticHost, tmp_path: Path) -> None:
    fleet.init()
    first = {target.file for target in fleet.publish(1).targets}
    fleet.publish(2)
    revoke(fleet.home, "shoes", 1, clock=fleet.clock)
    client = host.client(tmp_path / "device")
    assert set(limits(client).revoked) == first
    assert client.get_targetinfo("shoes/v1/any") is None
    assert client.get_targetinfo("shoes/v2/any") is not None
    options = PublishOptions(fleet.classes(fleet.push(1)))
    with pytest.raises(DeliveryError, match="was revoked"):
        publish(fleet.home, "shoes:v1", options, clock=fleet.clock)
    with pytest.raises(NoSuchTarget, match="v9 was never published"):
        revoke(fleet.home, "shoes", 9, clock=fleet.clock)


@pytest.mark.slow
def test_a_version_that_has_left_can_still_be_revoked(fleet: Fleet) -> None:
    fleet.init()
    first = {target.file for target in fleet.publish(1).targets}
    for seed in (2, 3):
        fleet.publish(seed)
    assert set(revoke(fleet.home, "shoes", 1, clock=fleet.clock).revoked) == first


def test_a_class_that_no_file_suits_is_named_and_nothing_is_published(fleet: Fleet) -> None:
    fleet.init()
    files = fleet.push(1)
    options = PublishOptions(fleet.classes(files), goal="latency_ms <= 4, minimise size_bytes")
    with pytest.raises(DeliveryError, match=r"no file of this version meets .* on low"):
        publish(fleet.home, "shoes:v1", options, clock=fleet.clock)
    fleet.classes({name: data + b"\0" for name, data in files.items()})
    with pytest.raises(DeliveryError, match=r"low\.json: it measured no file of this version"):
        publish(fleet.home, "shoes:v1", options, clock=fleet.clock)
    assert not (fleet.home / "public" / "targets").exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (CLASSES.replace("    where: memory_mb < 2000\n", ""), "low has no where"),
        (CLASSES + "    where: cores > 2\n", "the last class, any, must have no where"),
        (CLASSES.replace("memory_mb <", "memory_mb <<"), "where: filter, character"),
        (CLASSES.replace("name: low", "name: any"), "each with a name of its own"),
        (CLASSES.replace("name: low", "name: ../low"), "is no name"),
        (CLASSES.replace("goal", "gaol"), "no field 'gaol'"),
    ],
)
def test_a_wrong_file_of_classes_says_what_is_wrong(fleet: Fleet, text: str, problem: str) -> None:
    fleet.init()
    with pytest.raises(DeliveryError, match=problem):
        publish(fleet.home, "shoes:v1", PublishOptions(fleet.classes(fleet.push(1), text)), clock=fleet.clock)


def test_explain_says_why_a_device_gets_what_it_gets(fleet: Fleet) -> None:
    fleet.init()
    fleet.publish(1)
    small, large, odd = (explain(fleet.home, "shoes", {"memory_mb": size}) for size in (512, 8_000, "much"))
    assert [each.device_class for each in (small, large, odd)] == ["low", "any", "any"]
    assert [each.reason for each in large.verdicts] == ["memory_mb < 2000 is not true", "takes all others"]
    assert "cannot be compared" in odd.verdicts[0].reason
    assert large.target is not None
    assert large.target.path == "shoes/v1/any"
    with pytest.raises(NoSuchTarget):
        explain(fleet.home, "hats", {})


def test_a_model_of_another_repository_does_not_take_a_models_place(fleet: Fleet) -> None:
    fleet.init()
    fleet.publish(1)
    files = fleet.push(2, "evil/shoes:champion")
    with pytest.raises(DeliveryError, match="shoes is delivered from shoes; evil/shoes is another model"):
        publish(fleet.home, "evil/shoes:champion", PublishOptions(fleet.classes(files)), clock=fleet.clock)


@pytest.mark.slow
def test_each_models_targets_are_signed_by_its_own_key(fleet: Fleet, host: StaticHost, tmp_path: Path) -> None:
    fleet.init()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (fleet.path / "hats.pem").write_bytes(pem)
    key = read_key(f"file2:{fleet.path}/hats.pem")
    fleet.publish(1, "shoes:champion")
    fleet.publish(1, "hats:champion", key=key)
    roles = read_state(fleet.home).roles
    assert set(roles["model.hats"].signatures) == {key.keyid}
    assert set(roles["model.shoes"].signatures) != {key.keyid}
    client = host.client(tmp_path / "device")
    assert record(client, "hats/v1/any").model == "hats"
    assert record(client, "shoes/v1/any").model == "shoes"


def test_a_record_that_no_device_would_read_is_not_signed() -> None:
    digest = "sha256:" + "0" * 64
    record = SignedTarget("shoes", 1, digest, "any", "litert", 2, "2.1.0", "3", digest, 1_000, "none")
    deltas = tuple(Delta(digest, "zstd", digest, size) for size in range(1, 10))
    for wrong in (replace(record, deltas=deltas), replace(record, threads=0), ModelLimits("shoes", 1, ("x",))):
        with pytest.raises(RecordError):
            target_file(wrong.path, b"", wrong)


@pytest.mark.slow
def test_above_two_thousand_targets_they_are_in_hashed_bins(fleet: Fleet, host: StaticHost, tmp_path: Path) -> None:
    from lykeion.delivery.tuf.editions import keys_of, next_edition
    from lykeion.delivery.tuf.tuf_repository import opened

    fleet.init()
    (target, *_) = fleet.publish(1).targets
    with opened(fleet.home, clock=fleet.clock) as repository:
        state = repository.state()
        files = files_of(state, "shoes")
        for number in range(2_001):
            made = replace(target, version=2, device_class=f"c{number}")
            files[made.path] = target_file(made.path, b"x", made)
        keys = keys_of(state.targets, "model.shoes")
        content = roles_with("shoes", files, state.roles, keys)
        assert len(content) == 65
        state = repository.commit(next_edition(state, repository.press, content))
        again = roles_with("shoes", files, state.roles, keys)
        assert set(again) == {"model.shoes"}
        del files["shoes/v2/c7"]
        assert len(roles_with("shoes", files, state.roles, keys)) == 2
    assert len(records_of(files_of(read_state(fleet.home), "shoes"))) == 2_003
    client = host.client(tmp_path / "device")
    assert record(client, "shoes/v2/c1999").device_class == "c1999"
    assert limits(client) == ModelLimits("shoes")
    sizes = [path.stat().st_size for path in (tmp_path / "device").glob("model.shoes*.json")]
    assert len(sizes) == 2
    assert sum(sizes) < 50_000
    assert fleet.publish(2).version == 2
    assert record(host.client(tmp_path / "device"), "shoes/v2/any").version == 2


def _photos(directory: Path) -> Path:
    from PIL import Image

    directory.mkdir()
    for number in range(2):
        Image.effect_mandelbrot((32, 24), (-2, -1.5, 1, 1.5), 20 + number).save(directory / f"{number}.png")
    return directory
