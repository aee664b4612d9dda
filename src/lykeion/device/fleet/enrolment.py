"""A device's identity: a key pair made on it, which never leaves it, and a short-lived credential that it renews.

key          the private key, Ed25519, PKCS #8 in PEM, readable by its owner only
credential   the one of now
next/        the same of an enrolment under way, where the device was enrolled before: it takes the place of the two
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lykeion.core import Refused, Unavailable, first_line, fsync_directory, read_bounded, write_atomically, writing
from lykeion.device.fetching.server_calls import Post
from lykeion.device.fleet.device_messages import (
    ENROL,
    RENEW,
    Credential,
    EnrolRequest,
    RenewRequest,
    read_credential,
    renewal,
    to_plain,
)
from lykeion.device.fleet.message_fields import MAX_MESSAGE_BYTES, Attribute, MessageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

RENEW_BEFORE_S = 600
"""A credential that lives less than this is renewed; or less than a third of its life."""


class NotEnrolled(Refused):
    """The device has no key or credential yet."""


class KeyFileError(Unavailable):
    """The device's key or credential cannot be read or written."""


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """Files in ``directory``; ``post`` calls the server."""

    directory: Path
    post: Post
    clock: Callable[[], float] = time.time
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    def enrol(self, token: str) -> Credential:
        """Uses the one-time token up. The key is made first and kept: after an error the same call may be repeated.

        A device that was enrolled before makes another key, since the old one may be revoked; until the server has
        taken it, it remains what it was. Raises Refused for a token that the server does not take;
        UpdateUnavailable, KeyFileError.
        """
        self._settle()
        if not (self.directory / "credential").exists():
            return self._enrol(token)
        credential = replace(self, directory=self._next)._enrol(token)
        self._settle()
        return credential

    def _enrol(self, token: str) -> Credential:
        key = self._key() or self._new_key()
        request = EnrolRequest(token, _public(key), self.attributes)
        return self._keep(read_credential(self.post(ENROL, to_plain(request), "")))

    def credential(self) -> Credential:
        """One that is valid for a while, renewed if need be. Raises NotEnrolled, UpdateUnavailable, KeyFileError."""
        found, now = self._kept(), self.clock()
        if found.expires - now >= RENEW_BEFORE_S:
            return found
        at = int(now)
        signature = self._signing_key().sign(renewal(found.device, at)).hex()
        request = RenewRequest(found.device, at, signature)
        return self._keep(read_credential(self.post(RENEW, to_plain(request), "")))

    def device(self) -> str:
        """The name that the server gave it. Raises NotEnrolled, KeyFileError."""
        return self._kept().device

    @property
    def _next(self) -> Path:
        return self.directory / "next"

    def _settle(self) -> None:
        """Take over the key and the credential of an enrolment that the server has answered, the key first."""
        if (self._next / "credential").exists():
            with writing(self.directory, KeyFileError):
                for name in ("key", "credential"):
                    if (self._next / name).exists():
                        (self._next / name).replace(self.directory / name)
                        fsync_directory(self.directory)
                self._next.rmdir()

    def _kept(self) -> Credential:
        self._settle()
        path = self.directory / "credential"
        if not path.exists():
            raise NotEnrolled("this device is not enrolled; run: lykeion device enroll URL TOKEN")
        try:
            return read_credential(read_bounded(path, MessageError, "credential", limit=MAX_MESSAGE_BYTES))
        except MessageError as error:
            raise KeyFileError(f"{path}: {error}; enrol this device again") from None

    def _keep(self, credential: Credential) -> Credential:
        path = self.directory / "credential"
        with writing(path, KeyFileError):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(path, json.dumps(to_plain(credential)).encode())
            path.chmod(0o600)
        return credential

    def _signing_key(self) -> "Ed25519PrivateKey":
        key = self._key()
        if key is None:
            raise NotEnrolled("this device has lost its key; enrol it again: lykeion device enroll URL TOKEN")
        return key

    def _key(self) -> "Ed25519PrivateKey | None":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        path = self.directory / "key"
        if not path.exists():
            return None
        try:
            key = load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise KeyFileError(f"{path}: no key can be read ({first_line(error)}); enrol this device again") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(f"{path}: not an Ed25519 key; remove it and enrol this device again")
        return key

    def _new_key(self) -> "Ed25519PrivateKey":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        key, path = Ed25519PrivateKey.generate(), self.directory / "key"
        content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with writing(path, KeyFileError):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            new.unlink(missing_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        return key


def _public(key: "Ed25519PrivateKey") -> str:
    return key.public_key().public_bytes_raw().hex()
