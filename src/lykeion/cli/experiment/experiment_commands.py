"""``lykeion experiment``: start, stop and conclude experiments."""

import getpass
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from msgspec import structs

from lykeion import platform
from lykeion.cli.delivery.delivery_options import repository_option
from lykeion.cli.delivery.fleet_commands import open_store
from lykeion.cli.delivery.fleet_resource_place import command_here, place_options, with_fleet_resources
from lykeion.cli.options import json_option
from lykeion.cli.output import print_json, print_table
from lykeion.control import Key, Outdated, ResourceStore
from lykeion.core import print_line
from lykeion.core.files import write_atomically
from lykeion.delivery import device_service, experiments, flags
from lykeion.delivery.experiments import events

TRIES = 10
DEFAULT_NAMESPACE = "default"


def one_experiment(fleet: Path, namespace: str, name: str) -> "experiments.Experiment":
    key = _key(name, namespace)
    return with_fleet_resources(fleet, namespace, lambda store: store.get(key))


def log_of(fleet: Path) -> "events.EventLog":
    return events.EventLog(device_service.events_directory(fleet))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@repository_option
@place_options
@json_option
def start(file: Path, home: Path, fleet: Path, namespace: str, as_json: bool) -> None:
    """Declare an experiment, and begin: FILE is a resource of kind Experiment, in YAML.

    What is declared may not change any more.
    """
    made = experiments.read_experiment(file)
    if made.spec.flag:
        _check_flag(fleet, made)
    if made.metadata.namespace == DEFAULT_NAMESPACE:  # as where none is written
        made = replace(made, metadata=structs.replace(made.metadata, namespace=namespace))
    begun = with_fleet_resources(fleet, made.metadata.namespace, lambda store: store.create(made))
    if as_json:
        print_json(begun.document())
        return
    name = begun.metadata.name
    print_line(f"experiment {name} is declared as {experiments.declaration_digest(begun.spec)}")
    for line in _space_lines(begun, home):
        print_line(line)
    print_line(f"follow it: {command_here(f'experiment report {name}')}")


@click.command()
@place_options
@json_option
def get(fleet: Path, namespace: str, as_json: bool) -> None:
    """All experiments."""
    kind = experiments.EXPERIMENT
    found = with_fleet_resources(fleet, namespace, lambda store: store.listing(kind, namespace)).items
    if as_json:
        print_json([each.document() for each in found])
        return
    rows = [
        (
            each.metadata.name,
            each.spec.model or each.spec.flag,
            each.status.state,
            f"{sum(each.status.units):,}",
            each.status.reason,
            each.status.message,
        )
        for each in found
    ]
    print_table(("experiment", "of", "state", "units", "why", ""), rows, right=("units",))


@click.command()
@click.argument("name")
@place_options
def stop(name: str, fleet: Path, namespace: str) -> None:
    """Let nobody enter any more; those who have are still counted when their windows are over."""

    _change(fleet, namespace, name, stop=_now())
    print_line(f"experiment {name} is stopped")


@click.command()
@click.argument("name")
@click.option("--ship", required=True, metavar="ARM", help="The arm that everybody gets.")
@click.option("--because", required=True, metavar="TEXT", help="Why, for the record.")
@click.option("--by", default=getpass.getuser, show_default="you", help="Who decides.")
@click.option("--anyway", is_flag=True, help="Also where the results do not bear it.")
@place_options
@json_option
def conclude(
    name: str, ship: str, because: str, by: str, anyway: bool, fleet: Path, namespace: str, as_json: bool
) -> None:
    """End an experiment with a decision, which is written down with what was seen.

    An arm that is not better by the first metric, or was compared among units in wrong shares, is refused.
    """
    found = one_experiment(fleet, namespace, name)
    decision = experiments.Conclusion(ship=ship, because=because, by=by)
    experiments.check_undecided(found, decision)
    seen = experiments.results(found, log_of(fleet), time.time())
    if not anyway or ship not in [each.name for each in found.spec.arms]:
        experiments.check_conclusion(found, decision, seen)
    _change(fleet, namespace, name, conclusion=decision)
    record = experiments.record_of(experiments.with_experiment_spec(found, conclusion=decision), seen)
    if found.spec.flag:
        _ship_flag(fleet, found, decision)
    path = fleet / "records" / f"{name}.json"
    write_atomically(path, json.dumps(record.document(), indent=1).encode())
    if as_json:
        print_json(record.document())
        return
    print_line(f"experiment {name} is concluded: {ship} is shipped; the record is {path}")
    arm = next(each for each in found.spec.arms if each.name == ship)
    if found.spec.model:
        start_it = command_here(f"rollout start {found.spec.model}:{arm.version}")
        print_line(f"move it to all devices: {start_it}")
    else:
        print_line(f"the flag {found.spec.flag} is {arm.value} by default now")


def _check_flag(fleet: Path, made: "experiments.Experiment") -> None:
    """Raises FlagError."""
    with open_store(fleet) as store:
        if why := device_service.unfit_for_flag(store, made.spec):
            raise flags.FlagError(f"experiment {made.metadata.name}: {why}")


def _ship_flag(fleet: Path, found: "experiments.Experiment", decision: "experiments.Conclusion") -> None:
    """The value of the arm is the flag's default from now on; what its other rules say holds as before."""
    name = found.spec.flag
    value = next(json.loads(each.value) for each in found.spec.arms if each.name == decision.ship)
    with open_store(fleet) as store:
        kept = flags.FlagStore(store)
        last = kept.get(name)
        if last.flag.default != value or type(last.flag.default) is not type(value):
            why = f"experiment {found.metadata.name}: {decision.because}"
            kept.put(name, structs.replace(last.flag, default=value), flags.FlagEdit(decision.by, why, time.time()))


def _space_lines(experiment: "experiments.Experiment", home: Path) -> list[str]:
    """Which indexes the arms of an embedder need, if they search in spaces of their own."""
    spec = experiment.spec
    if not spec.model or not any(home.glob("*/metadata/timestamp.json")):
        return []
    catalogue = device_service.PublishedCatalogue(home)
    spaces = {each.name: catalogue.spaces(spec.model, each.version) for each in spec.arms}
    return experiments.space_lines(spaces)


def _change(fleet: Path, namespace: str, name: str, **changes: Any) -> None:
    """Of the spec; again where the server has noted something meanwhile. Raises Outdated, NoSuchResource."""

    key = _key(name, namespace)

    async def change(store: ResourceStore) -> None:
        for left in reversed(range(TRIES)):
            found: experiments.Experiment = await store.get(key)
            try:
                await store.apply(experiments.with_experiment_spec(found, **changes))
            except Outdated:
                if not left:
                    raise
            else:
                return

    with_fleet_resources(fleet, namespace, change)


def _key(name: str, namespace: str) -> Key:
    """Raises ResourceError."""
    platform.check_names(name=name, namespace=namespace)
    return Key(experiments.EXPERIMENT.name, namespace, name)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
