"""Keys of clients that read flags: each of one environment and one client, kept as digests, and revocable."""

import hashlib
import secrets
from dataclasses import dataclass

from lykeion.core import NotFound, Refused

from .flag_model import check_flag_name
from .flag_store import FlagEdit
from .flag_tables import FlagBase

MAX_KEYS = 1_000
"""Of an environment, those that were revoked not counted."""


class NotAClientKey(Refused):
    """A key that opens nothing; the message says no more, for whoever asks may be anybody."""


class NoSuchClient(NotFound):
    """No client of this name has a key."""


@dataclass(frozen=True)
class ClientKey:
    """``revoked_at`` is None while it opens something. Times are in seconds since 1970."""

    client: str
    made_at: float
    made_by: str
    revoked_at: float | None


@dataclass(frozen=True)
class ClientKeys:
    """Of one environment. Methods raise what ``base`` raises."""

    base: FlagBase
    environment: str

    def make(self, client: str, edit: FlagEdit) -> str:
        """A key, which is shown once. A client may have several, so that one can take another's place."""
        check_flag_name(client, "the name of the client")
        key = f"sdk-{secrets.token_hex(16)}"
        with self.base.transaction() as now:
            held = now.rows(
                "SELECT COUNT(*) AS n FROM flag_keys WHERE environment = ? AND revoked_at IS NULL",
                (self.environment,),
            )
            if held[0]["n"] >= MAX_KEYS:
                raise NotAClientKey(f"{self.environment} has {MAX_KEYS:,} keys; revoke those that are not in use")
            now.change(
                "INSERT INTO flag_keys (digest, environment, client, made_at, made_by) VALUES (?, ?, ?, ?, ?)",
                (_digest(key), self.environment, client, edit.at, edit.who),
            )
            now.record(edit.at, edit.who, f"{self.environment}: made a key for {client}: {edit.why}")
        return key

    def revoke(self, client: str, edit: FlagEdit) -> int:
        """End all keys of a client, and the streams that they opened: how many. Raises NoSuchClient."""
        with self.base.transaction() as now:
            ended = now.change(
                "UPDATE flag_keys SET revoked_at = ? WHERE environment = ? AND client = ? AND revoked_at IS NULL",
                (edit.at, self.environment, client),
            )
            if not ended:
                raise NoSuchClient(f"client {client[:80]!r} has no key of {self.environment}")
            now.record(edit.at, edit.who, f"{self.environment}: revoked {ended} keys of {client}: {edit.why}")
        return ended

    def listing(self) -> list[ClientKey]:
        """By client, the oldest first."""
        rows = self.base.rows(
            "SELECT * FROM flag_keys WHERE environment = ? ORDER BY client, made_at", (self.environment,)
        )
        return [ClientKey(row["client"], row["made_at"], row["made_by"], row["revoked_at"]) for row in rows]


def environment_of(base: FlagBase, key: str) -> str:
    """The environment that a key opens. Raises NotAClientKey."""
    rows = base.rows(
        "SELECT environment FROM flag_keys WHERE digest = ? AND revoked_at IS NULL", (_digest(key[:128]),)
    )
    if not rows:
        raise NotAClientKey("the client key is not valid: it was revoked, or never made")
    return rows[0]["environment"]


def _digest(key: str) -> str:
    """Looking a digest up tells nothing of the key by its time."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
