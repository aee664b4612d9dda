"""``lykeion delivery``: make a repository; sign, renew and rotate its roles; see what expires."""

import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import click

from lykeion import delivery
from lykeion.cli.options import json_option
from lykeion.cli.output import print_json, print_result, print_table
from lykeion.core import DONE_BUT, print_line

from .delivery_options import KEY, fleet_option, repository_option
from .fleet_drift import fleet_drift, fleet_spaces, print_drift, print_spaces

key_help = (
    "A key: file2:PATH of a PKCS #8 file, URI=PUBLIC.pem of one in an HSM or KMS, or NAME.pub of somebody else's."
)


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--threshold", type=click.IntRange(1, 16), default=2, show_default=True, help="Signatures a root needs."
)
@click.option("--root-key", "root_keys", type=KEY, multiple=True, metavar="KEY", help=f"{key_help} Repeat it.")
@click.option("--targets-key", type=KEY, multiple=True, metavar="KEY", help="A key that delegates to models.")
@click.option("--snapshot-key", type=KEY, multiple=True, metavar="KEY", help="A key that lists what is current.")
@click.option("--timestamp-key", type=KEY, multiple=True, metavar="KEY", help="A key that dates that list.")
@click.option("--targets-threshold", type=click.IntRange(1, 16), default=1, show_default=True, help="Signatures.")
@click.option("--snapshot-threshold", type=click.IntRange(1, 16), default=1, show_default=True, help="Signatures.")
@click.option("--timestamp-threshold", type=click.IntRange(1, 16), default=1, show_default=True, help="Signatures.")
@json_option
def init(
    directory: Path,
    threshold: int,
    root_keys: "tuple[delivery.RoleKey, ...]",
    targets_key: "tuple[delivery.RoleKey, ...]",
    snapshot_key: "tuple[delivery.RoleKey, ...]",
    timestamp_key: "tuple[delivery.RoleKey, ...]",
    targets_threshold: int,
    snapshot_threshold: int,
    timestamp_threshold: int,
    as_json: bool,
) -> None:
    """Make a repository in DIRECTORY. Keys that are not given are made in DIRECTORY/keys (Ed25519).

    \b
      lykeion delivery init ./tuf
      lykeion delivery init ./tuf --threshold 2 --root-key a.pub --root-key b.pub --root-key c.pub

    Move root keys that were made to different people's offline media.
    """
    role_keys = {"targets": targets_key, "snapshot": snapshot_key, "timestamp": timestamp_key}
    thresholds = {"targets": targets_threshold, "snapshot": snapshot_threshold, "timestamp": timestamp_threshold}
    found = delivery.init(
        directory, root_keys=root_keys, threshold=threshold, role_keys=role_keys, thresholds=thresholds
    )
    _print_root(directory, found, as_json)
    if not root_keys and not as_json:
        print_line(
            f"Move the root keys, {directory}/keys/root-*.pem, to offline media of different people.", err=True
        )


@click.command()
@click.argument("role")
@click.option("--key", "keys", type=KEY, multiple=True, metavar="KEY", help=f"{key_help} Default: new ones are made.")
@click.option(
    "--remove", multiple=True, metavar="KEYID", help="A key to remove, by the beginning of its ID; else all."
)
@click.option("--threshold", type=click.IntRange(1, 16), help="Signatures that the role needs from now on.")
@click.option("--renew", is_flag=True, help="Of the root: a later expiry with the same keys.")
@repository_option
@json_option
def rotate(
    role: str,
    keys: "tuple[delivery.RoleKey, ...]",
    remove: tuple[str, ...],
    threshold: int | None,
    renew: bool,
    home: Path,
    as_json: bool,
) -> None:
    """Replace keys of ROLE: all, or those given by --remove. It takes a new root, which root keys must sign.

    \b
      lykeion delivery rotate timestamp
      lykeion delivery rotate root --remove 3f2a --key new.pub
      lykeion delivery rotate root --renew
      lykeion delivery rotate model.shoes       of a model; the key of targets signs

    ROLE is root, targets, snapshot, timestamp, or model.NAME.
    """
    if role.startswith("model."):
        if remove or threshold or renew:
            raise click.UsageError("of a model all keys are replaced, by --key or a new one; leave out other options")
        keyids = delivery.rotate_model(home, role.removeprefix("model."), add=keys)
        print_result(as_json, {"role": role, "keys": keyids}, f"{role} has the key {', '.join(keyids)}")
        return
    if renew and (role != "root" or keys or remove or threshold):
        raise click.UsageError("--renew is for the root and changes nothing else")
    if renew:
        found = delivery.renew_root(home)
    else:
        found = delivery.rotate(home, role, add=keys, remove=remove, threshold=threshold)
    _print_root(home, found, as_json)


@click.command()
@click.option("--key", "keys", type=KEY, multiple=True, metavar="KEY", help=f"{key_help} Not remembered.")
@repository_option
@json_option
def sign(keys: "tuple[delivery.RoleKey, ...]", home: Path, as_json: bool) -> None:
    """Add signatures to the staged root; publish it when there are enough.

    \b
      lykeion delivery sign --key file2:/media/alice/root.pem

    A person who keeps a root key offline needs of the repository only public/ and staged/ and delivery.json.
    """
    _print_root(home, delivery.sign_root(home, keys), as_json)


@click.command()
@click.option("--clock-is-right", is_flag=True, help="It was wrong before: sign again what was signed by it.")
@repository_option
@json_option
def refresh(clock_is_right: bool, home: Path, as_json: bool) -> None:
    """Sign the timestamp again, and what has less than half of its time left; remove old files. For cron, hourly."""
    found = delivery.refresh(home, clock_is_right=clock_is_right)
    lines = [f"signed {', '.join(found.roles)}"]
    print_result(as_json, asdict(found), *lines)
    for problem in found.problems:
        print_line(f"warning: {problem}", err=True)
    if found.problems:
        sys.exit(DONE_BUT)


@click.command()
@repository_option
@fleet_option
@json_option
def status(home: Path, fleet: Path, as_json: bool) -> None:
    """Show which metadata expire when, and how many devices run what they were told.

    Exit code 3 if some metadata have less than a quarter of their time left, or more than there can be.
    """
    found, drift = delivery.status(home), fleet_drift(fleet)
    spaces = fleet_spaces(fleet, home) if found.roles else []
    if as_json:
        roles = [{**asdict(role), "left": role.left.total_seconds()} for role in found.roles]
        staged = found.staged and asdict(found.staged)
        devices = [{**asdict(each), "behind": each.behind} for each in drift]
        used = [{**asdict(each), "versions": sorted(each.versions)} for each in spaces]
        print_json({"roles": roles, "staged": staged, "due": found.due, "devices": devices, "spaces": used})
    else:
        rows = [(each.role, each.version, each.expires, _days(each.left), "due" * each.due) for each in found.roles]
        print_table(("role", "version", "expires", "left", ""), rows, right=("version", "left"))
        if found.staged:
            print_line(_root_line(found.staged))
        print_drift(drift)
        print_spaces(spaces)
    if found.due:
        sys.exit(DONE_BUT)


def _print_root(home: Path, found: "delivery.RootProgress", as_json: bool) -> None:
    print_result(as_json, asdict(found), f"{home}: {_root_line(found)}")


def _root_line(found: "delivery.RootProgress") -> str:
    if found.published:
        return f"root {found.version} is published"
    if found.missing:
        keys = ", ".join(keyid[:12] for keyid in found.unsigned)
        return f"root {found.version} needs {found.missing} more signatures, of {keys}: lykeion delivery sign"
    return f"root {found.version} has its signatures, but {found.problem}; run lykeion delivery sign where the key is"


def _days(left: timedelta) -> str:
    return f"{left / timedelta(days=1):.1f} days"
