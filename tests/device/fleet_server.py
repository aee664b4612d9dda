"""The server's side of a device's messages, in memory: one-time tokens, credentials, desired state, events."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lykeion.device.fetching.server_calls import ServerRefuses
from lykeion.device.fleet.device_messages import (
    ENROL,
    EVENTS,
    RENEW,
    STATE,
    Credential,
    DesiredState,
    ReportedState,
    read_enrol_request,
    read_renew_request,
    read_reported_state,
    renewal,
    to_plain,
)
from lykeion.device.fleet.event_batches import read_batch
from lykeion.device.fleet.event_reports import ReportedEvent

LIFE_S = 3_600


@dataclass
class FleetServer:
    tokens: set[str] = field(default_factory=lambda: {"once"})
    desired: DesiredState = field(default_factory=lambda: DesiredState("any"))
    now: float = 1_000_000.0
    keys: dict[str, str] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=dict)
    states: list[ReportedState] = field(default_factory=list)
    events: list[ReportedEvent] = field(default_factory=list)
    dropped: list[Mapping[str, int]] = field(default_factory=list)
    used: set[tuple[str, int]] = field(default_factory=set)

    def answer(self, call: str, body: bytes, token: str) -> dict[str, Any]:
        """Raises ServerRefuses."""
        if call == ENROL:
            asked = read_enrol_request(body)
            if asked.token not in self.tokens:
                raise ServerRefuses("the token is not known, or was used")
            self.tokens.discard(asked.token)
            self.keys[device := f"device-{len(self.keys) + 1}"] = asked.public_key
            return self._credential(device)
        if call == RENEW:
            return self._renewed(body)
        if token not in self.credentials:
            raise ServerRefuses("the credential is not valid")
        if call == STATE:
            self.states.append(read_reported_state(body))
            return to_plain(self.desired)
        assert call == EVENTS
        batch = read_batch(body)
        self.events += batch.events
        self.dropped.append(batch.dropped)
        return {}

    def _renewed(self, body: bytes) -> dict[str, Any]:
        asked = read_renew_request(body)
        if (asked.device, asked.at) in self.used or abs(asked.at - self.now) > 60:
            raise ServerRefuses("the renewal is old, or was used")
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.keys[asked.device]))
        try:
            key.verify(bytes.fromhex(asked.signature), renewal(asked.device, asked.at))
        except InvalidSignature:
            raise ServerRefuses("the signature is not the device's") from None
        self.used.add((asked.device, asked.at))
        return self._credential(asked.device)

    def _credential(self, device: str) -> dict[str, Any]:
        token = secrets.token_hex(16)
        self.credentials[token] = device
        return to_plain(Credential(device, token, int(self.now) + LIFE_S))
