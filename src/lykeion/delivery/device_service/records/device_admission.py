"""Who is a device: one-time tokens to enrol, keys that stay on devices, credentials that live for hours.

A key is in use twice, so a device was copied, if a credential that was replaced is still used when a newer one is.
"""

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lykeion.core import Conflict, NotFound, Refused
from lykeion.delivery.device_service.store import FleetStore, FleetTransaction
from lykeion.device import Credential, EnrolRequest, RenewRequest, renewal

CREDENTIAL_S = 86_400
CLOCK_S = 600
"""By how much the clock of a device that renews may be wrong."""
OVERLAP_S = 120
"""A replaced credential is used no longer than requests under way need."""
MAX_TOKEN_S = 365 * 86_400

DeviceState = Literal["active", "quarantined", "revoked", "decommissioned"]


class NotADevice(Refused):
    """A token, key or credential that opens nothing; the message says no more, for whoever asks may be anybody."""


class NoSuchDevice(NotFound):
    """No device has this name."""


class DeviceStateError(Conflict):
    """A change of state that is not possible."""


@dataclass(frozen=True)
class DeviceAdmission:
    """``clock`` is the server's."""

    store: FleetStore
    clock: Callable[[], float]

    def new_token(self, seconds: int, uses: int = 1, note: str = "") -> str:
        """A token with which so many devices may enrol."""
        token = secrets.token_hex(20)  # not URL-safe base64, which may begin with "-" like an option
        with self.store.transaction() as now:
            now.change(
                "INSERT INTO enrolment_tokens (digest, expires, uses_left, note) VALUES (?, ?, ?, ?)",
                (_digest(token), self.clock() + min(seconds, MAX_TOKEN_S), uses, note[:128]),
            )
            now.record(self.clock(), "operator", f"made a token for {uses} devices: {note[:128]}")
        return token

    def enrol(self, request: EnrolRequest) -> Credential:
        """The first credential, or another for a device that repeats the request since the answer was lost.

        Raises NotADevice.
        """
        at = self.clock()
        with self.store.transaction() as now:
            known = now.rows("SELECT id, state, token FROM devices WHERE public_key = ?", (request.public_key,))
            token = (_digest(request.token), at)
            named = now.rows("SELECT uses_left FROM enrolment_tokens WHERE digest = ? AND expires > ?", token)
            again = bool(known) and known[0]["state"] == "active" and known[0]["token"] == token[0]
            if again and named:
                return self._credential(now, known[0]["id"], at)
            use = "UPDATE enrolment_tokens SET uses_left = uses_left - 1"
            if known or not now.change(f"{use} WHERE digest = ? AND expires > ? AND uses_left > 0", token):
                raise NotADevice("the token is not valid: it was used, has expired, or was never made")
            device = f"d-{secrets.token_hex(8)}"
            now.change(
                "INSERT INTO devices (id, public_key, token, state, enrolled_at, seen_at, software, runtime,"
                " attributes, renewed_at) VALUES (?, ?, ?, 'active', ?, ?, '', '', ?, 0)",
                (device, request.public_key, token[0], at, at, json.dumps(dict(request.attributes))),
            )
            now.record(at, device, "enrolled")
            return self._credential(now, device, at)

    def renew(self, request: RenewRequest) -> Credential:
        """Another credential for a signature by the device's key, each of which is taken once. Raises NotADevice."""
        at = self.clock()
        with self.store.transaction() as now:
            found = now.rows("SELECT * FROM devices WHERE id = ?", (request.device,))
            if not found or not _signed(found[0]["public_key"], request):
                raise NotADevice("the signature is not one of an enrolled device")
            if found[0]["state"] not in ("active", "quarantined"):
                raise NotADevice(f"this device is {found[0]['state']}; it has to be enrolled again")
            if abs(request.at - at) > CLOCK_S or request.at <= found[0]["renewed_at"]:
                raise NotADevice(f"the request is of {request.at}, the time here is {at:.0f}, or it was sent before")
            now.change("UPDATE devices SET renewed_at = ? WHERE id = ?", (request.at, request.device))
            return self._credential(now, request.device, at)

    def holder_of(self, token: str) -> tuple[str, float]:
        """The device whose credential it seems to be, and when that expires: only reads, and tells nothing of a key
        that is in use twice. Raises NotADevice."""
        found = self.store.rows(
            "SELECT c.device, c.expires, d.state FROM credentials c JOIN devices d ON d.id = c.device"
            " WHERE c.digest = ? AND c.expires > ?",
            (_digest(token), self.clock()),
        )
        if not found or found[0]["state"] not in ("active", "quarantined"):
            raise NotADevice("the credential is not valid: it has expired, or the device was revoked")
        return found[0]["device"], found[0]["expires"]

    def device_of(self, token: str) -> str:
        """The device whose credential it is. Raises NotADevice."""
        at, digest = self.clock(), _digest(token)
        found = self.store.rows(
            "SELECT c.*, d.state FROM credentials c JOIN devices d ON d.id = c.device"
            " WHERE c.digest = ? AND c.expires > ?",
            (digest, at),
        )
        if not found or found[0]["state"] not in ("active", "quarantined"):
            raise NotADevice("the credential is not valid: it has expired, or the device was revoked")
        row = found[0]
        if row["replaced_at"] is not None and at > row["replaced_at"] + OVERLAP_S:
            self._note_clone(row["device"], at)
            raise NotADevice("the credential was replaced: this key is in use on another device too")
        if row["used_at"] is None:
            self._note_use(digest, row["device"], at)
        return row["device"]

    def set_state(self, device: str, state: DeviceState, who: str) -> None:
        """Raises NoSuchDevice, DeviceStateError."""
        with self.store.transaction() as now:
            found = now.rows("SELECT state FROM devices WHERE id = ?", (device,))
            if not found:
                raise NoSuchDevice(f"there is no device {device[:80]!r}")
            if found[0]["state"] == "decommissioned" and state != "decommissioned":
                raise DeviceStateError(f"{device} is decommissioned, which is final; it may enrol again as another")
            now.change("UPDATE devices SET state = ? WHERE id = ?", (state, device))
            if state in ("revoked", "decommissioned"):
                now.change("DELETE FROM credentials WHERE device = ?", (device,))
            now.record(self.clock(), who, f"{device} is {state}")

    def _credential(self, now: FleetTransaction, device: str, at: float) -> Credential:
        token, expires = secrets.token_urlsafe(32), int(at) + CREDENTIAL_S
        now.change("DELETE FROM credentials WHERE device = ? AND expires <= ?", (device, at))
        now.change(
            "INSERT INTO credentials (digest, device, expires) VALUES (?, ?, ?)", (_digest(token), device, expires)
        )
        return Credential(device, token, expires)

    def _note_use(self, digest: str, device: str, at: float) -> None:
        """From the first use of a credential on, those before it are replaced."""
        with self.store.transaction() as now:
            now.change("UPDATE credentials SET used_at = ? WHERE digest = ?", (at, digest))
            replaced = (
                "UPDATE credentials SET replaced_at = ? WHERE device = ? AND digest <> ? AND replaced_at IS NULL"
            )
            now.change(replaced, (at, device, digest))

    def _note_clone(self, device: str, at: float) -> None:
        with self.store.transaction() as now:
            if now.change("UPDATE devices SET clone_at = ? WHERE id = ? AND clone_at IS NULL", (at, device)):
                now.record(at, device, "its key is in use twice")


def _digest(secret: str) -> str:
    """Looking a digest up tells nothing of the secret by its time."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _signed(public_key: str, request: RenewRequest) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(request.signature), renewal(request.device, request.at))
    except (InvalidSignature, ValueError):
        return False
    return True
