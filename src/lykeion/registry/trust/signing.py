"""Signatures with an elliptic-curve key, created and verified offline.

Two sigstore bundles are attached to a version, in one referrer. ``model.sig`` is OpenSSF model-signing's, over the
files: ``model_signing verify key DIR --signature model.sig`` checks a pulled directory. ``manifest.sig`` is over the
manifest's digest with the model's repository and version, since otherwise annotations could be forged, and an old
version or another model could be passed off as this one. Formats: DSSE 1.0, in-toto Statement 1, sigstore bundle 0.3,
model-signing 1.0.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lykeion.core import NotFound, digest_bytes, parse_json
from lykeion.oci import EMPTY, EMPTY_BLOB, ContentError, Descriptor, ImageManifest, read_manifest
from lykeion.oci.distribution import ArtifactStore, Reference
from lykeion.registry.artifact.facts import FILE
from lykeion.registry.artifact.model_artifact import SIGNATURE, TITLE, Model
from lykeion.registry.errors import InvalidModel, Untrusted
from lykeion.registry.model_names import version_number
from lykeion.registry.resolving import load, tags_at

if TYPE_CHECKING:  # cryptography is imported where a key is used: most commands need none
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey

_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_FILES = "https://model_signing/signature/v1.0"
_VERSION = "https://github.com/lykeion/lykeion/model-version/v1"
_FILES_NAME, _MANIFEST_NAME = "model.sig", "manifest.sig"
_MAX_BUNDLE = 4 * 2**20
_MAX_SIGNATURES = 1_000
_CURVES = (256, 384, 521)


@dataclass(frozen=True, slots=True)
class Signed:
    """The content of a valid signature: the model's repository and version, and the key.

    ``whole`` is false for signatures of earlier releases, which have only the repository's last part.
    """

    name: str
    version: str
    key: str
    whole: bool = True


def sign(store: ArtifactStore, reference: Reference, key: Path) -> tuple[Signed, bytes]:
    """Sign a version's files and manifest, attach both bundles to it, and return the signed statement and the bundle
    of the files.

    Raises NotFound, and Untrusted unless ``key`` is a NIST P-256, P-384 or P-521 private key in PEM without a
    password.
    """
    private, repository = _private(key), reference.repository
    model = load(store, reference)
    version = next(iter(tags_at(store, repository).get(model.digest, [])), "")
    if version_number(version) is None:
        raise NotFound(f"{reference}: has no version to sign; push or copy gives it one")
    bundles = {
        _FILES_NAME: _bundle(_files_statement(repository, model), private),
        _MANIFEST_NAME: _bundle(_version_statement(repository, version, model.digest), private),
    }
    layers = [
        Descriptor(SIGNATURE, digest_bytes(data), len(data), annotations={TITLE: title})
        for title, data in bundles.items()
    ]
    store.put(repository, EMPTY, EMPTY_BLOB, _ignore)
    for layer, data in zip(layers, bundles.values(), strict=True):
        store.put(repository, layer, data, _ignore)
    subject = Descriptor(model.manifest.media_type, model.digest, len(model.data))
    store.attach(repository, ImageManifest(EMPTY, tuple(layers), artifact_type=SIGNATURE, subject=subject).to_bytes())
    return Signed(repository, version, str(key)), bundles[_FILES_NAME]


def verify(store: ArtifactStore, repository: str, model: Model, keys: Sequence[Path]) -> Iterator[Signed]:
    """The statements of the model's signatures that are by one of ``keys`` and match both manifest and files.

    Other referrers are ignored. Raises Untrusted for an invalid key, or beyond _MAX_SIGNATURES.
    """
    known = {path: _public(path) for path in keys}
    for place, referrer in enumerate(store.referrers(repository, model.digest, SIGNATURE)):
        if place == _MAX_SIGNATURES:
            raise Untrusted(
                f"{repository}@{model.digest}: over {_MAX_SIGNATURES:,} signatures; remove those that are not needed"
            )
        try:
            bundles = _bundles(store, repository, referrer.digest)
        except (NotFound, ContentError):
            continue
        for path, public in known.items():
            if signed := _both(bundles.get(_MANIFEST_NAME), bundles.get(_FILES_NAME), model, public, path):
                yield signed


def _bundles(store: ArtifactStore, repository: str, digest: str) -> dict[str | None, bytes]:
    """The bundles of an attached manifest, by title. Raises NotFound, ContentError."""
    manifest = read_manifest(store.manifest(repository, digest))
    layers = manifest.layers if isinstance(manifest, ImageManifest) else ()
    named = {layer.annotations.get(TITLE): layer for layer in layers if layer.media_type == SIGNATURE}
    return {
        title: store.read(repository, layer)
        for title, layer in named.items()
        if title in (_FILES_NAME, _MANIFEST_NAME) and layer.size <= _MAX_BUNDLE
    }


def _both(
    manifest: bytes | None, files: bytes | None, model: Model, key: "EllipticCurvePublicKey", path: Path
) -> Signed | None:
    """The statement of both bundles; None if they are not by the key or not for this model."""
    if manifest is None or files is None:
        return None
    try:
        version, resources = _open(manifest, key), _open(files, key)
        subject = version["subject"][0]
        predicate = version["predicate"]
        whole = "repository" in predicate
        told = Signed(str(subject["name"]), str(predicate["version"]), str(path), whole)
        right = predicate.get("repository", told.name) == told.name
        right = right and version["predicateType"] == _VERSION and len(version["subject"]) == 1
        right = right and subject["digest"]["sha256"] == model.digest.removeprefix("sha256:")
        right = right and resources == _files_statement(told.name, model)
    except (InvalidModel, KeyError, IndexError, TypeError, AttributeError):
        return None
    return told if right else None


def _files_statement(name: str, model: Model) -> dict[str, Any]:
    """Digests of the files in a pulled directory."""
    digests = {file.path: file.blob.digest for file in model.files}
    if model.facts:
        digests[FILE] = model.facts.digest
    resources = [
        {"name": path, "algorithm": "sha256", "digest": digest.removeprefix("sha256:")}
        for path, digest in sorted(digests.items())
    ]
    together = hashlib.sha256(b"".join(bytes.fromhex(resource["digest"]) for resource in resources)).hexdigest()
    serialization_ = {
        "method": "files",
        "hash_type": "sha256",
        "allow_symlinks": False,
        "ignore_paths": [_FILES_NAME],
    }
    return {
        "_type": _STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": together}}],
        "predicateType": _FILES,
        "predicate": {"serialization": serialization_, "resources": resources},
    }


def _version_statement(repository: str, version: str, digest: str) -> dict[str, Any]:
    return {
        "_type": _STATEMENT,
        "subject": [{"name": repository, "digest": {"sha256": digest.removeprefix("sha256:")}}],
        "predicateType": _VERSION,
        "predicate": {"repository": repository, "version": version},
    }


# --- DSSE in a sigstore bundle ---


def _bundle(statement: dict[str, Any], key: "EllipticCurvePrivateKey") -> bytes:
    payload = json.dumps(statement, sort_keys=True).encode()
    signature = key.sign(_authenticated(payload), _ecdsa(key.curve.key_size))
    bundle: dict[str, Any] = {
        "mediaType": SIGNATURE,
        "verificationMaterial": {"publicKey": {"hint": _hint(key.public_key())}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _PAYLOAD,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return json.dumps(bundle, sort_keys=True).encode()


def _open(bundle: bytes, key: "EllipticCurvePublicKey") -> dict[str, Any]:
    """The statement in a bundle that the key signed. Raises InvalidModel."""
    from cryptography.exceptions import InvalidSignature

    try:
        envelope = parse_json(bundle, InvalidModel, "bundle", limit=_MAX_BUNDLE)["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        signature = base64.b64decode(envelope["signatures"][0]["sig"], validate=True)
        if envelope["payloadType"] != _PAYLOAD:
            raise ValueError("another kind of payload")
        key.verify(signature, _authenticated(payload), _ecdsa(key.curve.key_size))
        statement = parse_json(payload, InvalidModel, "statement", limit=_MAX_BUNDLE)
        if statement["_type"] != _STATEMENT:
            raise ValueError("another kind of statement")
    except (InvalidSignature, ValueError, KeyError, IndexError, TypeError):
        raise InvalidModel("not a bundle that this key signed") from None
    return statement


def _ecdsa(bits: int) -> "ECDSA":
    """With sigstore's hash for a curve of this many bits."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

    return ECDSA(hashes.SHA256() if bits == 256 else hashes.SHA384() if bits == 384 else hashes.SHA512())


def _authenticated(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD), _PAYLOAD.encode(), len(payload), payload)


def _private(path: Path) -> "EllipticCurvePrivateKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Untrusted(f"{path}: not a private key in PEM without a password ({error})") from None
    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.key_size not in _CURVES:
        raise Untrusted(f"{path}: not a key of NIST P-256, P-384 or P-521")
    return key


def _public(path: Path) -> "EllipticCurvePublicKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise Untrusted(f"{path}: not a public key in PEM ({error})") from None
    if not isinstance(key, EllipticCurvePublicKey) or key.curve.key_size not in _CURVES:
        raise Untrusted(f"{path}: not a key of NIST P-256, P-384 or P-521")
    return key


def _hint(key: "EllipticCurvePublicKey") -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def _ignore(_count: int) -> None:
    pass
