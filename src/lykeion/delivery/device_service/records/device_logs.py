"""Logs of devices, asked for by a person: a device answers at its next poll; the last answer is kept for a week."""

from dataclasses import dataclass

from lykeion.delivery.device_service.store import FleetStore
from lykeion.device import MAX_LOG_LINES, LogAnswer

from .device_admission import NoSuchDevice

KEPT_LOGS_S = 7 * 86_400


@dataclass(frozen=True)
class DeviceLogState:
    """``asked`` is the number of the last request, ``answered`` that of the last answer, which has the ``lines``."""

    asked: int
    asked_at: float
    answered: int
    answered_at: float | None
    lines: tuple[str, ...]


def ask_log(store: FleetStore, device: str, lines: int, who: str, at: float) -> int:
    """The number of the request. Raises NoSuchDevice."""
    with store.transaction() as now:
        if not now.rows("SELECT id FROM devices WHERE id = ? AND state IN ('active', 'quarantined')", (device,)):
            raise NoSuchDevice(f"there is no device {device[:80]!r} that may report")
        now.change(
            "INSERT INTO device_logs (device, asked, lines, asked_at, answered, log) VALUES (?, 1, ?, ?, 0, '')"
            " ON CONFLICT (device) DO UPDATE SET asked = device_logs.asked + 1, lines = excluded.lines,"
            " asked_at = excluded.asked_at",
            (device, min(lines, MAX_LOG_LINES), at),
        )
        now.record(at, who, f"{device}: asked for {lines} lines of its log")
        return now.rows("SELECT asked FROM device_logs WHERE device = ?", (device,))[0]["asked"]


def asked_log(store: FleetStore, device: str) -> tuple[int, int]:
    """The request that a device has not answered yet, and for how many lines; zeros if there is none."""
    found = store.rows("SELECT asked, lines FROM device_logs WHERE device = ? AND asked > answered", (device,))
    return (found[0]["asked"], found[0]["lines"]) if found else (0, 0)


def note_log(store: FleetStore, device: str, answer: LogAnswer, at: float) -> bool:
    """Whether it answers the last request; another one changes nothing."""
    with store.transaction() as now:
        return bool(
            now.change(
                "UPDATE device_logs SET answered = asked, answered_at = ?, log = ?"
                " WHERE device = ? AND asked = ? AND answered < asked",
                (at, "\n".join(answer.lines), device, answer.request),
            )
        )


def device_log(store: FleetStore, device: str) -> DeviceLogState | None:
    """None if it was never asked for."""
    found = store.rows("SELECT * FROM device_logs WHERE device = ?", (device,))
    if not found:
        return None
    row = found[0]
    lines = tuple(row["log"].split("\n")) if row["log"] else ()
    return DeviceLogState(row["asked"], row["asked_at"], row["answered"], row["answered_at"], lines)


def forget_old_logs(store: FleetStore, at: float) -> int:
    with store.transaction() as now:
        return now.change("UPDATE device_logs SET log = '' WHERE log <> '' AND answered_at < ?", (at - KEPT_LOGS_S,))
