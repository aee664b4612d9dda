"""``lykeion delivery``: serve a fleet, let devices in, and see and change what is known of them."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from lykeion import web_kit
from lykeion.cli.options import json_option
from lykeion.cli.output import print_json, print_result, print_table
from lykeion.cli.server_options import server_options
from lykeion.core import print_line
from lykeion.delivery import device_service, device_sessions, rollouts

from .delivery_options import VERSION, fleet_option, repository_option, searched_option
from .rollout_stores import rollouts_option, shared_rollouts

STATES = {"activate": "active", "quarantine": "quarantined", "revoke": "revoked", "decommission": "decommissioned"}


@contextmanager
def open_store(directory: Path) -> Iterator["device_service.FleetStore"]:
    store = device_service.open_fleet(directory)
    try:
        yield store
    finally:
        store.close()


@click.command()
@repository_option
@fleet_option
@click.option("--downloads", type=click.IntRange(1), default=64, show_default=True, help="Under way at a time.")
@click.option("--streams", type=click.IntRange(0), default=256, show_default=True, help="Of flags, open at a time.")
@searched_option
@rollouts_option
@server_options
def serve(
    home: Path,
    fleet: Path,
    downloads: int,
    streams: int,
    searched: tuple[str, ...],
    kept_in: str,
    namespace: str | None,
    host: str,
    port: int,
    settings: "web_kit.ServerSettings",
) -> None:
    """Serve the repository's files and devices, and move rollouts along, until stopped.

    Devices have credentials of their own. On another address than loopback put TLS before it, and name the hosts by
    which it is asked with --allowed-host.
    """
    server = device_service.FleetServer(
        fleet, home, settings, downloads, streams, rollouts=shared_rollouts(kept_in, namespace), indexes=searched
    )
    asyncio.run(server.run(host, port, lambda url: print_line(f"devices are served at {url}")))


@click.command()
@fleet_option
@click.option(
    "--uses", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="Devices that may use it."
)
@click.option("--for", "valid_for", default="7d", show_default=True, help="How long it is valid; units s m h d w.")
@click.option("--note", default="", help="For the audit log.")
@json_option
def token(fleet: Path, uses: int, valid_for: str, note: str, as_json: bool) -> None:
    """Make a token with which a device enrols: lykeion device enroll URL TOKEN. It is shown once."""
    seconds = rollouts.parse_seconds(valid_for)
    with open_store(fleet) as store:
        made = device_service.DeviceAdmission(store, time.time).new_token(seconds, uses, note)
    print_result(as_json, {"token": made, "uses": uses, "seconds": seconds}, made)


@click.group()
def devices() -> None:
    """See the devices of a fleet, and say what may become of them."""


@devices.command("list")
@fleet_option
@json_option
def list_devices(fleet: Path, as_json: bool) -> None:
    """All devices, with the version of each model that they run."""
    with open_store(fleet) as store:
        found, slow = device_service.all_devices(store), device_service.slow_versions(store)
    if as_json:
        print_json([_document(each, slow) for each in found])
        return
    rows = [
        (
            each.id,
            each.state + (", key in use twice" if each.clone_at else ""),
            ", ".join(
                f"{model} v{report['running']}{', slow' if (each.id, model) in slow else ''}"
                for model, report in sorted(each.models.items())
            ),
            each.software,
            f"{rollouts.seconds_text(max(0.0, time.time() - each.seen_at))} ago",
        )
        for each in found
    ]
    print_table(("device", "state", "runs", "software", "seen"), rows)


@devices.command("show")
@click.argument("device")
@fleet_option
@json_option
def show_device(device: str, fleet: Path, as_json: bool) -> None:
    """What is known of a device: attributes, models, pins, what it was told, what failed, which events were lost,
    and how it said it is."""
    with open_store(fleet) as store:
        document = _document(device_service.one_device(store, device), device_service.slow_versions(store, device))
        told = device_service.told_versions(store, device)
        document["told"] = {model: f"v{version} since {_time(since)}" for model, (version, since) in told.items()}
        document["lost_events"] = device_service.lost_events(store, device)
        if said := device_sessions.presence_of(store, device):
            document["presence"] = {"said": said[0], "at": _time(said[1])}
    if as_json:
        print_json(document)
        return
    for name, value in document.items():
        if not isinstance(value, dict):
            print_line(f"{name}: {value}")
            continue
        print_line(f"{name}:")
        for key, each in value.items():
            print_line(f"  {key}: {each}")


@devices.command("set")
@click.argument("device")
@click.argument("what", type=click.Choice(list(STATES)))
@fleet_option
@click.option("--by", default="operator", show_default=True, help="Who, for the audit log.")
def set_device(device: str, what: str, fleet: Path, by: str) -> None:
    """Quarantine a device (it is told to run nothing), activate it again, revoke its key, or decommission it."""
    with open_store(fleet) as store:
        device_service.DeviceAdmission(store, time.time).set_state(device, STATES[what], by)  # type: ignore[arg-type]
    print_line(f"{device} is {STATES[what]}")


@devices.command("pin")
@click.argument("device")
@click.argument("model")
@click.argument("version", type=VERSION, required=False)
@fleet_option
@click.option("--by", default="operator", show_default=True, help="Who, for the audit log.")
def pin_device(device: str, model: str, version: int | None, fleet: Path, by: str) -> None:
    """Keep a device at a VERSION of MODEL, whatever rollouts say; without VERSION no longer."""
    with open_store(fleet) as store:
        device_service.pin(store, device, model, version, by, time.time())
    print_line(f"{device}: {model} {'is no longer pinned' if version is None else f'is pinned to v{version}'}")


def _document(
    record: "device_service.FleetRecord", slow: "Mapping[tuple[str, str], device_service.SlowVersion]"
) -> dict[str, Any]:
    times = {"enrolled": record.enrolled_at, "seen": record.seen_at}
    models = {
        model: {name: each[name] for name in ("running", "file", "step", "failed", "cause")}
        for model, each in record.models.items()
    }
    for model, report in models.items():
        if measured := slow.get((record.id, model)):
            report["slow"] = {"run_ms": measured.run_ms, "class_ms": measured.class_ms}
    return {
        "device": record.id,
        "state": record.state,
        **{name: _time(at) for name, at in times.items()},
        "clone": record.clone_at is not None,
        "software": record.software,
        "runtime": record.runtime,
        "attributes": dict(record.attributes),
        "models": models,
        "pins": dict(record.pins),
    }


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
