"""``lykeion delivery``: publish versions, and say what may not run any more."""

import sys
from dataclasses import asdict
from pathlib import Path

import click

from lykeion import delivery
from lykeion.cli.options import FiniteRange, json_option, registry_option, store_option, trust_option
from lykeion.cli.output import print_json, print_result, print_table
from lykeion.core import DONE_BUT, print_line, read_json

from .delivery_options import KEY, VERSION, fleet_option, model_name, repository_option
from .fleet_drift import fleet_needs


@click.command()
@click.argument("model")
@click.option("--classes", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Classes of devices.")
@click.option("--goal", default="", help="Instead of the goal in the file: 'latency_ms <= 40, minimise size_bytes'.")
@click.option("--golden", type=click.Path(path_type=Path), metavar="DIR", help="Photos that devices test it with.")
@click.option("--index", metavar="INDEX", help="Of an embedder: the index that devices search with it.")
@click.option("--queries", type=click.Path(path_type=Path), metavar="DIR", help="Photos to measure recall@10 with.")
@click.option(
    "--embedder", type=click.Path(path_type=Path), metavar="FILE", help="The index's; else the default one."
)
@click.option("--recall", type=FiniteRange(0, 1), default=0.95, show_default=True, help="At least, in the index.")
@click.option("--keep", type=click.IntRange(1, 16), default=2, show_default=True, help="Versions that stay.")
@click.option("--needed", type=VERSION, multiple=True, metavar="VERSION", help="A further version that stays.")
@click.option("--key", type=KEY, metavar="KEY", help="The key of a model that is new here; by default one is made.")
@fleet_option
@repository_option
@store_option
@registry_option
@trust_option
@json_option
def publish(
    model: str,
    classes: Path,
    goal: str,
    golden: Path | None,
    index: str | None,
    queries: Path | None,
    embedder: Path | None,
    recall: float,
    keep: int,
    needed: tuple[int, ...],
    key: "delivery.RoleKey | None",
    fleet: Path,
    home: Path,
    store: Path | None,
    trust: Path | None,
    as_json: bool,
) -> None:
    """Sign a version of MODEL for each class of devices.

    \b
      lykeion delivery publish shoes:champion --classes classes.yaml --trust trust.toml

    The registry's trust policy is asked first. Reports of lykeion engines bench say which file each class runs. The
    files are packed, with deltas from the versions that devices may have. Versions that devices of the fleet are told
    to run or pinned to stay, where the fleet is on this machine.
    """
    if (index is None) != (queries is None):
        raise click.UsageError("--index needs --queries, and --queries an --index")
    space = delivery.IndexSpace(index, queries, embedder, recall) if index and queries else None
    wanted = {*needed, *fleet_needs(fleet, model_name(model))}
    options = delivery.PublishOptions(classes, goal, trust, store, keep, wanted, key, golden, space)
    found = delivery.publish(home, model, options)
    if as_json:
        print_json({**asdict(found), "targets": [each.to_json() for each in found.targets]})
        return
    rows = [
        (
            each.device_class,
            f"{each.engine} {each.threads}",
            f"{each.file_bytes:,}",
            f"{found.download_bytes[each.device_class]:,}",
            ", ".join(f"{delta.size_bytes:,} ({delta.method})" for delta in each.deltas),
        )
        for each in found.targets
    ]
    print_table(("class", "engine", "bytes", "download", "deltas"), rows, right=("bytes", "download"))
    removed = f"; v{', v'.join(map(str, found.removed))} left" if found.removed else ""
    print_line(f"{found.model} v{found.version} is published{removed}")


@click.command()
@click.argument("model")
@click.argument("version", type=VERSION)
@repository_option
@json_option
def minimum(model: str, version: int, home: Path, as_json: bool) -> None:
    """No device runs a version of MODEL below VERSION any more, not even as its fallback."""
    found = delivery.set_minimum(home, model_name(model), version)
    print_result(as_json, found.to_json(), f"{found.model}: v{found.minimum} and later may run")


@click.command()
@click.argument("model")
@click.argument("version", type=VERSION)
@repository_option
@json_option
def revoke(model: str, version: int, home: Path, as_json: bool) -> None:
    """No device runs the files of a VERSION of MODEL any more. For a lost or stolen key, see rotate."""
    found = delivery.revoke(home, model_name(model), version)
    print_result(as_json, found.to_json(), f"{found.model}: {len(found.revoked)} files are revoked")


@click.command()
@click.argument("model")
@click.argument("device", type=click.Path(path_type=Path))
@click.option("--version", type=VERSION, metavar="VERSION", help="Of the model; by default the newest.")
@repository_option
@json_option
def explain(model: str, device: Path, version: int | None, home: Path, as_json: bool) -> None:
    """Say which class a device is in, why, and what of MODEL it gets. DEVICE is a JSON file of its attributes."""
    attributes = read_json(device, delivery.DeliveryError, "attributes of a device")
    found = delivery.explain(home, model_name(model), attributes, version)
    if as_json:
        print_json({**asdict(found), "target": found.target and found.target.to_json()})
    else:
        for each in found.verdicts:
            print_line(f"{each.device_class}: {'yes' if each.takes else 'no'}, {each.reason}")
        target = found.target
        print_line(f"{target.path}: {target.engine}, {target.threads} threads" if target else "nothing is published")
    if found.target is None:
        sys.exit(DONE_BUT)
