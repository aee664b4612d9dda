"""``lykeion experiment``: start, stop and conclude experiments."""

import asyncio
import getpass
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from lykeion.cli.delivery.delivery_options import repository_option
from lykeion.cli.delivery.fleet_commands import fleet_option
from lykeion.cli.options import json_option
from lykeion.cli.output import print_json, print_table
from lykeion.control import Key, Outdated, ResourceStore
from lykeion.core import print_line
from lykeion.core.files import write_atomically
from lykeion.delivery import device_service, experiments
from lykeion.delivery.experiments import events

T = TypeVar("T")
TRIES = 10


def with_experiments(fleet: Path, work: Callable[[ResourceStore], Awaitable[T]]) -> T:
    async def run() -> T:
        async with device_service.connect_rollouts(fleet) as store:
            return await work(store)

    return asyncio.run(run())


def one_experiment(fleet: Path, name: str) -> "experiments.Experiment":
    return with_experiments(fleet, lambda store: store.get(_key(name)))


def log_of(fleet: Path) -> "events.EventLog":
    return events.EventLog(device_service.events_directory(fleet))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@repository_option
@fleet_option
@json_option
def start(file: Path, home: Path, fleet: Path, as_json: bool) -> None:
    """Declare an experiment, and begin: FILE is a resource of kind Experiment, in YAML.

    What is declared may not change any more.
    """
    made = experiments.read_experiment(file)
    begun = with_experiments(fleet, lambda store: store.create(made))
    if as_json:
        print_json(begun.document())
        return
    name = begun.metadata.name
    print_line(f"experiment {name} is declared as {experiments.declaration_digest(begun.spec)}")
    for line in _space_lines(begun, home):
        print_line(line)
    print_line(f"follow it: lykeion experiment report {name}")


@click.command()
@fleet_option
@json_option
def get(fleet: Path, as_json: bool) -> None:
    """All experiments."""
    found = with_experiments(fleet, lambda store: store.listing(experiments.EXPERIMENT)).items
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
@fleet_option
def stop(name: str, fleet: Path) -> None:
    """Let nobody enter any more; those who have are still counted when their windows are over."""

    _change(fleet, name, stop=_now())
    print_line(f"experiment {name} is stopped")


@click.command()
@click.argument("name")
@click.option("--ship", required=True, metavar="ARM", help="The arm that everybody gets.")
@click.option("--because", required=True, metavar="TEXT", help="Why, for the record.")
@click.option("--by", default=getpass.getuser, show_default="you", help="Who decides.")
@click.option("--anyway", is_flag=True, help="Also where the results do not bear it.")
@fleet_option
@json_option
def conclude(name: str, ship: str, because: str, by: str, anyway: bool, fleet: Path, as_json: bool) -> None:
    """End an experiment with a decision, which is written down with what was seen.

    An arm that is not better by the first metric, or was compared among units in wrong shares, is refused.
    """
    found = one_experiment(fleet, name)
    decision = experiments.Conclusion(ship=ship, because=because, by=by)
    experiments.check_undecided(found, decision)
    seen = experiments.results(found, log_of(fleet), time.time())
    if not anyway or ship not in [each.name for each in found.spec.arms]:
        experiments.check_conclusion(found, decision, seen)
    _change(fleet, name, conclusion=decision)
    record = experiments.record_of(experiments.with_experiment_spec(found, conclusion=decision), seen)
    path = fleet / "records" / f"{name}.json"
    write_atomically(path, json.dumps(record.document(), indent=1).encode())
    if as_json:
        print_json(record.document())
        return
    print_line(f"experiment {name} is concluded: {ship} is shipped; the record is {path}")
    arm = next(each for each in found.spec.arms if each.name == ship)
    if found.spec.model:
        print_line(f"move it to all devices: lykeion rollout start {found.spec.model}:{arm.version}")


def _space_lines(experiment: "experiments.Experiment", home: Path) -> list[str]:
    """Which indexes the arms of an embedder need, if they search in spaces of their own."""
    spec = experiment.spec
    if not spec.model or not any(home.glob("*/metadata/timestamp.json")):
        return []
    catalogue = device_service.PublishedCatalogue(home)
    spaces = {each.name: catalogue.spaces(spec.model, each.version) for each in spec.arms}
    return experiments.space_lines(spaces)


def _change(fleet: Path, name: str, **changes: Any) -> None:
    """Of the spec; again where the server has noted something meanwhile. Raises Outdated, NoSuchResource."""

    async def change(store: ResourceStore) -> None:
        for left in reversed(range(TRIES)):
            found: experiments.Experiment = await store.get(_key(name))
            try:
                await store.apply(experiments.with_experiment_spec(found, **changes))
            except Outdated:
                if not left:
                    raise
            else:
                return

    with_experiments(fleet, change)


def _key(name: str) -> Key:
    return Key(experiments.EXPERIMENT.name, "default", name)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
