"""Devices that are made in the store, without enrolling each, and what the store has of them in the end."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lykeion.delivery.device_service import FleetStore

LIFE_S = 86_400


@dataclass(frozen=True, slots=True)
class SimulatedIdentity:
    device: str
    credential: str


def make_devices(store: FleetStore, count: int, at: float) -> list[SimulatedIdentity]:
    """With names that begin with ``d-sim-``, and attributes that say so."""
    made = [SimulatedIdentity(f"d-sim-{secrets.token_hex(8)}", secrets.token_urlsafe(32)) for _ in range(count)]
    with store.transaction() as now:
        for each in made:
            now.change(
                "INSERT INTO devices (id, public_key, token, state, enrolled_at, seen_at, software, runtime,"
                " attributes, renewed_at) VALUES (?, ?, '', 'active', ?, ?, '', '', '{\"simulated\": true}', 0)",
                (each.device, secrets.token_hex(32), at, at),
            )
            digest = hashlib.sha256(each.credential.encode()).hexdigest()
            values = (digest, each.device, at + LIFE_S, at)
            now.change("INSERT INTO credentials (digest, device, expires, used_at) VALUES (?, ?, ?, ?)", values)
        now.record(at, "operator", f"made {count} simulated devices")
    return made


def check_store(store: FleetStore, told: Mapping[str, tuple[int, int, int]]) -> Sequence[str]:
    """What the store has other than the devices were told. ``told`` has of each device the last number that was
    acknowledged, how many events were put, and how many of these it dropped or has not been told of."""
    problems: list[str] = []
    for device, (acknowledged, put, missing) in told.items():
        session = store.rows("SELECT taken FROM sessions WHERE device = ?", (device,))
        taken = session[0]["taken"] if session else 0
        if taken < acknowledged:
            problems.append(f"{device}: {acknowledged} was acknowledged, {taken} is stored")
        rows = store.rows("SELECT count(*) AS n, count(DISTINCT number) AS d FROM events WHERE device = ?", (device,))
        events, different = rows[0]["n"], rows[0]["d"]
        if events != different:
            problems.append(f"{device}: {events - different} events are stored twice")
        if not put - missing <= events <= put:
            problems.append(f"{device}: {put} events, of which {missing} may be missing; {events} are stored")
    return problems
