"""Roots are verified with keys of each kind that TUF names, and by nothing that only looks like a signature."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Key, Metadata, Root, TargetFile

from lykeion.device.errors import UpdateRefused
from lykeion.device.metadata_checks import found_target, next_root, self_signed_root

KINDS = {
    "rsa": CryptoSigner.generate_rsa,
    "ecdsa": CryptoSigner.generate_ecdsa,
    "ed25519": CryptoSigner.generate_ed25519,
}


def root(version: int, *signers: CryptoSigner, keys: list[Key] | None = None) -> bytes:
    """All of the signers must have signed it."""
    made = Root(version, expires=datetime(2027, 1, 1, tzinfo=UTC))
    for key in keys or [signer.public_key for signer in signers]:
        made.add_key(key, Root.type)
    made.roles[Root.type].threshold = len(signers)
    metadata = Metadata(made)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_root_key_of_each_kind_is_believed_and_a_wrong_signature_by_it_is_not(kind: str) -> None:
    first, second = CryptoSigner.generate_ed25519(), KINDS[kind]()
    trusted = self_signed_root(root(1, first))
    new = root(2, first, second)
    assert next_root(trusted, new).signed.version == 2
    plain = json.loads(new)
    plain["signatures"][1]["sig"] = Metadata.from_bytes(root(3, second)).signatures[second.public_key.keyid].signature
    with pytest.raises(RepositoryError):
        next_root(trusted, json.dumps(plain).encode())


def test_a_field_of_a_key_that_the_specification_does_not_have_changes_nothing() -> None:
    signer = CryptoSigner.generate_ed25519()
    plain: dict[str, Any] = {**signer.public_key.to_dict(), "keyid_hash_algorithms": "md5"}
    key = Key.from_dict(signer.public_key.keyid, plain)
    assert self_signed_root(root(1, signer, keys=[key])).signed.version == 1


def test_a_target_that_is_signed_without_a_sha256_digest_is_refused() -> None:
    file = TargetFile.from_data("shoes/v1/any", b"model", ["sha512"])
    with pytest.raises(UpdateRefused, match="without a SHA-256 digest"):
        found_target(file)
