"""Which version of each model a device was told to run, since when, and how many run another one."""

from collections.abc import Mapping
from dataclasses import dataclass

from lykeion.delivery.device_service.store import FleetStore

HEARD_S = 90 * 86_400


@dataclass(frozen=True)
class VersionDrift:
    """Devices that were told to run a version, those that run it, and for how long the first of the others was told.

    ``silent`` are those of the others that have not reported since.
    """

    model: str
    version: int
    told: int
    running: int
    silent: int
    oldest_s: float

    @property
    def behind(self) -> int:
        return self.told - self.running


def note_told(store: FleetStore, device: str, versions: Mapping[str, int], at: float) -> None:
    """``since`` of a model changes with the version."""
    asked = "SELECT model, version FROM told WHERE device = ?"
    if {row["model"]: row["version"] for row in store.rows(asked, (device,))} == versions:
        return
    with store.transaction() as now:
        for row in now.rows(asked, (device,)):
            if row["model"] not in versions:
                now.change("DELETE FROM told WHERE device = ? AND model = ?", (device, row["model"]))
        for model, version in versions.items():
            now.change(
                "INSERT INTO told (device, model, version, since) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (device, model) DO UPDATE SET version = excluded.version, since = "
                " CASE WHEN told.version = excluded.version THEN told.since ELSE excluded.since END",
                (device, model, version, at),
            )


def told_versions(store: FleetStore, device: str) -> dict[str, tuple[int, float]]:
    """By model, the version and since when."""
    rows = store.rows("SELECT model, version, since FROM told WHERE device = ? ORDER BY model", (device,))
    return {row["model"]: (row["version"], row["since"]) for row in rows}


def needed_versions(store: FleetStore, model: str, at: float) -> set[int]:
    """Of a model, the versions that devices are pinned to, or were told to run if they have reported in 90 days; of
    devices that are neither revoked nor decommissioned."""
    alive = "JOIN devices d ON d.id = t.device WHERE d.state IN ('active', 'quarantined') AND t.model = ?"
    told = store.rows(f"SELECT DISTINCT version FROM told t {alive} AND d.seen_at > ?", (model, at - HEARD_S))  # noqa: S608
    pinned = store.rows(f"SELECT DISTINCT version FROM pins t {alive}", (model,))  # noqa: S608
    return {row["version"] for row in (*told, *pinned)}


def version_drift(store: FleetStore, at: float) -> list[VersionDrift]:
    """Of devices that are neither revoked nor decommissioned, by model and version."""
    rows = store.rows(
        "SELECT told.model, told.version, COUNT(*) AS told,"
        " SUM(CASE WHEN models.running = told.version THEN 1 ELSE 0 END) AS running,"
        " SUM(CASE WHEN models.running = told.version OR devices.seen_at > told.since THEN 0 ELSE 1 END) AS silent,"
        " MIN(CASE WHEN models.running = told.version THEN NULL ELSE told.since END) AS oldest"
        " FROM told JOIN devices ON devices.id = told.device"
        " LEFT JOIN models ON models.device = told.device AND models.model = told.model"
        " WHERE devices.state IN ('active', 'quarantined')"
        " GROUP BY told.model, told.version ORDER BY told.model, told.version"
    )
    return [
        VersionDrift(
            row["model"],
            row["version"],
            row["told"],
            row["running"],
            row["silent"],
            0.0 if row["oldest"] is None else max(0.0, at - row["oldest"]),
        )
        for row in rows
    ]
