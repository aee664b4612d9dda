"""What the store has of sessions, changed only by the connection whose epoch is the session's."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lykeion.core import Conflict, Invalid, Refused
from lykeion.device.conversation import (
    FrameError,
    GroupLog,
    HelloFrame,
    MessageFrame,
    Reset,
    Resumption,
    SessionState,
    read_frame,
    resume,
    write_frame,
)

from .group_logs import group_ends
from .session_tables import SessionBase, SessionTransaction

MAX_WAITING = 1_000
"""Commands of one device."""
MAX_COMMAND_BYTES = 1 << 16
KEPT_COMMANDS_S = 30 * 86_400
"""After a command was no longer wanted, it is forgotten, with its key."""
KEPT_ENDED = 1_000
"""Commands of one device that have ended; older ones are forgotten."""

CommandState = Literal["waiting", "sent", "delivered", "done", "failed", "expired"]


class Fenced(Refused):
    """Another connection has this session since: what this one still wants to store is not stored."""


class CommandRefused(Conflict):
    """A device has as many commands waiting as are kept."""


class BadCommand(Invalid):
    """A command that cannot be sent."""


@dataclass(frozen=True, slots=True)
class Command:
    """``expires`` is in seconds since 1970; ``said`` is what the device answered."""

    device: str
    key: str
    name: str
    body: Any
    expires: float
    number: int | None
    state: CommandState
    said: Any


def resume_session(
    now: SessionTransaction, device: str, hello: HelloFrame, groups: Collection[str], gateway: str, at: float
) -> tuple[Resumption, list[Command]]:
    """The session is this connection's from here on. The commands are those that have a number. Raises Fenced."""
    known = _known(now, device)
    ends = group_ends(now)
    logs = {group: GroupLog(*ends.get(group, (1, 0))) for group in groups}
    resumed = resume(hello, known, logs)
    if not _replace(now, device, known, resumed.state, gateway, at):
        raise Fenced("another connection took this session in the same moment")
    if resumed.is_new:
        now.change("UPDATE commands SET state = 'waiting' WHERE device = ? AND state = 'sent'", (device,))
        now.change("UPDATE commands SET number = NULL WHERE device = ? AND number IS NOT NULL", (device,))
    now.change(
        "UPDATE commands SET state = 'delivered' WHERE device = ? AND state = 'sent' AND number < ?",
        (device, resumed.welcome.first),
    )
    kept = "SELECT * FROM commands WHERE device = ? AND number >= ? ORDER BY number"
    rows = now.rows(kept, (device, resumed.welcome.first))
    return resumed, [_command(row) for row in rows]


def take_messages(
    now: SessionTransaction,
    device: str,
    epoch: int,
    messages: Sequence[MessageFrame],
    keep: Callable[[SessionTransaction, MessageFrame], object],
) -> None:
    """Store consecutive messages; ``keep`` does so for one. Raises Fenced."""
    changed = now.change(
        "UPDATE sessions SET taken = ? WHERE device = ? AND epoch = ? AND taken = ?",
        (messages[-1].number, device, epoch, messages[0].number - 1),
    )
    if not changed:
        raise Fenced("another connection has this session")
    for message in messages:
        keep(now, message)


def take_numbers(now: SessionTransaction, claims: Sequence[tuple[str, int, int, int]]) -> int:
    """Of how many devices the numbers are taken now: each is a device, its epoch, and the first and last number."""
    return now.change_all(
        "UPDATE sessions SET taken = claim.column4 FROM (VALUES {rows}) AS claim WHERE device = claim.column1"
        " AND epoch = claim.column2 AND taken = claim.column3 - 1",
        claims,
    )


def acknowledge(now: SessionTransaction, device: str, epoch: int, number: int) -> None:
    """The device has all up to ``number``. Raises Fenced."""
    _own(now, "UPDATE sessions SET first = ? WHERE device = ? AND epoch = ?", (number + 1, device, epoch))
    now.change(
        "UPDATE commands SET state = 'delivered' WHERE device = ? AND state = 'sent' AND number <= ?",
        (device, number),
    )


def give_commands(now: SessionTransaction, device: str, epoch: int, most: int, at: float) -> list[Command]:
    """Those that wait get the next numbers; those that nobody wants any longer end. Raises Fenced."""
    now.change(
        "UPDATE commands SET state = 'expired' WHERE device = ? AND state = 'waiting' AND expires <= ?", (device, at)
    )
    rows = now.rows(
        "SELECT * FROM commands WHERE device = ? AND state = 'waiting' ORDER BY made_at, key LIMIT ?", (device, most)
    )
    if not rows:
        return []
    sent = now.rows("SELECT sent FROM sessions WHERE device = ? AND epoch = ?", (device, epoch))
    if not sent:
        raise Fenced("another connection has this session")
    last = sent[0]["sent"]
    _own(now, "UPDATE sessions SET sent = ? WHERE device = ? AND epoch = ?", (last + len(rows), device, epoch))
    given: list[Command] = []
    for number, row in enumerate(rows, last + 1):
        now.change(
            "UPDATE commands SET state = 'sent', number = ? WHERE device = ? AND key = ?",
            (number, device, row["key"]),
        )
        given.append(_command(dict(row) | {"number": number, "state": "sent"}))
    return given


def add_command(
    now: SessionTransaction, device: str, key: str, name: str, body: Any, expires: float, at: float, who: str
) -> bool:
    """Whether it is new: a key is put once. Raises CommandRefused, BadCommand."""
    text = json.dumps(body)
    if len(text) > MAX_COMMAND_BYTES or not all(0 < len(each) <= 64 and each.isprintable() for each in (key, name)):
        raise BadCommand(f"a command has a key and a name of up to 64 letters, and {MAX_COMMAND_BYTES:,} bytes")
    try:
        read_frame(write_frame(command_message(Command(device, key, name, body, expires, None, "waiting", None), at)))
    except FrameError as error:
        raise BadCommand(f"the command {name} cannot be read by devices: {error}") from None
    count = "SELECT count(*) AS waiting FROM commands WHERE device = ? AND state = 'waiting'"
    if now.rows(count, (device,))[0]["waiting"] >= MAX_WAITING:
        raise CommandRefused(f"{MAX_WAITING:,} commands wait for {device} already; let some expire")
    new = now.change(
        "INSERT INTO commands (device, key, name, body, made_at, expires, state, said)"
        " VALUES (?, ?, ?, ?, ?, ?, 'waiting', 'null') ON CONFLICT (device, key) DO NOTHING",
        (device, key, name, text, at, expires),
    )
    if new:
        now.record(at, who, f"{device}: command {name} ({key})")
        _forget_ended(now, device)
    return bool(new)


def forget_old_commands(store: SessionBase, at: float) -> int:
    """Those that nobody has wanted for long, but what is under way to a device."""
    with store.transaction() as now:
        sql = f"DELETE FROM commands WHERE expires < ? AND {_IS_OVER}"  # noqa: S608 - a constant
        return now.change(sql, (at - KEPT_COMMANDS_S,))


_IS_OVER = (
    "state <> 'sent' AND (number IS NULL OR number <"
    " (SELECT first FROM sessions WHERE sessions.device = commands.device))"
)
"""A number that the device has not acknowledged is sent again; one that were gone would leave a gap."""


def _forget_ended(now: SessionTransaction, device: str) -> None:
    which = f"device = ? AND state <> 'waiting' AND {_IS_OVER}"
    ended = now.rows(f"SELECT key FROM commands WHERE {which} ORDER BY made_at, key", (device,))  # noqa: S608
    if len(ended) > KEPT_ENDED:
        gone = [(device, row["key"]) for row in ended[: len(ended) - KEPT_ENDED]]
        now.change_all("DELETE FROM commands WHERE (device, key) IN (VALUES {rows})", gone)


def end_command(now: SessionTransaction, device: str, key: str, ok: bool, said: Any) -> None:
    """An answer that is too long is left out, and that is said. Raises BadCommand for what is no JSON."""
    state = "expired" if said == "expired" else "done" if ok else "failed"
    try:
        text = json.dumps(said, allow_nan=False)
    except (TypeError, ValueError):
        raise BadCommand("the answer to a command is no JSON") from None
    if len(text) > MAX_COMMAND_BYTES:
        text = json.dumps(f"an answer of {len(text):,} bytes; {MAX_COMMAND_BYTES:,} are kept")
    values = (state, text, device, key)
    now.change("UPDATE commands SET state = ?, said = ? WHERE device = ? AND key = ?", values)


def command_message(command: Command, at: float) -> MessageFrame:
    """As it is sent to the device."""
    wanted_s = max(0, int(command.expires - at))
    body = {"key": command.key, "name": command.name, "body": command.body, "for_s": wanted_s}
    return MessageFrame(command.number or 0, "command", body)


def commands_since(store: SessionBase, made_at: float) -> tuple[float, set[str]]:
    """Devices that have got a command since, and when the last was made."""
    rows = store.rows(
        "SELECT device, made_at FROM commands WHERE made_at > ? AND state = 'waiting' ORDER BY made_at", (made_at,)
    )
    return (rows[-1]["made_at"] if rows else made_at), {row["device"] for row in rows}


def commands_of(store: SessionBase, device: str) -> list[Command]:
    """From the oldest."""
    rows = store.rows("SELECT * FROM commands WHERE device = ? ORDER BY made_at, key", (device,))
    return [_command(row) for row in rows]


def _known(now: SessionTransaction, device: str) -> SessionState | None:
    rows = now.rows("SELECT * FROM sessions WHERE device = ?", (device,))
    if not rows:
        return None
    row = rows[0]
    untold = tuple((epoch, Reset(*reset)) for epoch, reset in json.loads(row["untold"]))
    return SessionState(bytes.fromhex(row["session"]), row["epoch"], row["taken"], row["first"], row["sent"], untold)


def _replace(
    now: SessionTransaction, device: str, known: SessionState | None, state: SessionState, gateway: str, at: float
) -> bool:
    """Compare and swap, by the epoch."""
    values = (
        state.session.hex(), state.epoch, state.taken, state.first, state.sent, json.dumps(state.untold), gateway, at,
        device,
    )  # fmt: skip
    if known is None:
        insert = "INSERT INTO sessions (session, epoch, taken, first, sent, untold, gateway, at, device)"
        return now.change(f"{insert} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (device) DO NOTHING", values) > 0
    update = (
        "UPDATE sessions SET session = ?, epoch = ?, taken = ?, first = ?, sent = ?, untold = ?, gateway = ?, at = ?"
    )
    return now.change(f"{update} WHERE device = ? AND epoch = ?", (*values, known.epoch)) > 0


def _own(now: SessionTransaction, sql: str, values: Sequence[Any]) -> None:
    if not now.change(sql, values):
        raise Fenced("another connection has this session")


def _command(row: Mapping[str, Any]) -> Command:
    return Command(
        row["device"],
        row["key"],
        row["name"],
        json.loads(row["body"]),
        row["expires"],
        row["number"],
        row["state"],
        json.loads(row["said"]),
    )
