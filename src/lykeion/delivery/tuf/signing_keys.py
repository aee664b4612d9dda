"""Keys of roles: where each private one is, as a URI that securesystemslib opens, and its public part.

A key is written ``URI`` or ``URI=PUBLIC.pem``. ``file2:PATH``, a PKCS #8 file, includes the public part; a key in an
HSM or a cloud's KMS is given with it. Nothing private is ever copied.
"""
# pyright: reportPrivateImportUsage=false
# TUF's modules show names that they import.

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from securesystemslib.signer import CryptoSigner, Key, Signer, SSlibKey
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata

from lykeion.core import first_line, fsync_directory, read_bounded, writing
from lykeion.delivery.errors import DeliveryError, KeyUnavailable

FILE = "file2"
MAX_KEY_BYTES = 1 << 16


@dataclass(frozen=True)
class RoleKey:
    """``uri`` is empty for a key whose private part is only known elsewhere."""

    public: Key
    uri: str = ""

    @property
    def keyid(self) -> str:
        return self.public.keyid


@dataclass(frozen=True)
class Signing:
    """Opens signers by key; ``uris`` are by key ID, those of files relative to ``home``."""

    home: Path
    uris: Mapping[str, str]

    def sign(self, metadata: Metadata[Any], keys: Iterable[Key]) -> list[str]:
        """Add the signatures of those keys that can be used here; says of each other one, in a line, why not."""
        problems: list[str] = []
        for key in keys:
            try:
                metadata.sign(self._signer(key), append=True)
            except (KeyUnavailable, UnsignedMetadataError) as error:
                problems.append(first_line(error))
        return problems

    def _signer(self, key: Key) -> Signer:
        uri = self.uris.get(key.keyid)
        if not uri:
            raise KeyUnavailable(f"key {key.keyid[:12]} is not known here")
        try:
            return Signer.from_priv_key_uri(_absolute(uri, self.home), key)
        except FileNotFoundError:
            raise KeyUnavailable(f"key {key.keyid[:12]} is not at {uri}") from None
        except Exception as error:  # each kind of signer raises errors of its own
            raise KeyUnavailable(f"key {key.keyid[:12]} at {uri}: {first_line(error)}") from None


def read_key(text: str) -> RoleKey:
    """A key as a person writes it. Raises DeliveryError."""
    uri, _, public = text.partition("=") if "=" in text else (text, "", "")
    if uri.endswith((".pub", ".pub.pem")) and ":" not in uri:  # only the public part: who holds the other signs later
        return RoleKey(_public_key(Path(uri)))
    if not urlsplit(uri).scheme:
        raise DeliveryError(f"{text[:80]!r} is no key: write file2:PATH, or URI=PUBLIC.pem for one in an HSM or KMS")
    if public:
        return RoleKey(_public_key(Path(public)), uri)
    if urlsplit(uri).scheme != FILE:
        raise DeliveryError(f"{uri[:80]}: add its public part, as in {uri[:40]}=PUBLIC.pem")
    path = Path(urlsplit(uri).path).absolute()
    return RoleKey(_public_part(path), f"{FILE}:{path}")


def own_key(home: Path, name: str) -> RoleKey:
    """The Ed25519 key in ``keys/NAME.pem`` of the repository's directory; made if there is none.

    Only its owner may read it. Raises DeliveryError.
    """
    path = home / "keys" / f"{name}.pem"
    if not path.exists():
        with writing(path, DeliveryError, "free some space and run the command again"):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_private(path, CryptoSigner.generate_ed25519().private_bytes)
    return RoleKey(_public_part(path), f"{FILE}:keys/{name}.pem")


def _write_private(path: Path, data: bytes) -> None:
    """Complete or not at all, and never readable by others."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync_directory(path.parent)


def _absolute(uri: str, home: Path) -> str:
    scheme, _, rest = uri.partition(":")
    return f"{FILE}:{home.absolute() / rest}" if scheme == FILE else uri


def _public_part(path: Path) -> SSlibKey:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    private = _loaded(path, lambda data: load_pem_private_key(data, None))
    return CryptoSigner(private).public_key


def _public_key(path: Path) -> SSlibKey:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    return SSlibKey.from_crypto(_loaded(path, load_pem_public_key))


def _loaded(path: Path, load: Callable[[bytes], Any]) -> Any:
    data = read_bounded(path, DeliveryError, "key", limit=MAX_KEY_BYTES)
    try:
        return load(data)
    except Exception as error:  # cryptography raises several kinds
        raise DeliveryError(f"{path}: not a key in PEM: {first_line(error)}") from None
