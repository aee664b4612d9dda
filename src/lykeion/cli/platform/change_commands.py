"""Commands that change resources: apply, diff, delete, suspend, resume."""

import sys
from difflib import unified_diff
from pathlib import Path

import click

from lykeion import platform
from lykeion.core import DONE_BUT, print_line

from .composed_kinds import KINDS, WRITTEN
from .platform_options import files_of, files_option, namespace_option, target_argument, with_platform


@click.command()
@files_option
@namespace_option
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
def apply(files: tuple[Path, ...], namespace: str, dry_run: bool) -> None:
    """Make the resources in files, or change them to what the files say.

    All files are checked before anything is changed. The same files work with kubectl apply.
    """
    resources = platform.read_resources(files_of(files), WRITTEN, namespace)

    async def work(store: "platform.PlatformStore") -> None:
        for resource in resources:
            outcome = await platform.apply_resource(store, resource, dry_run=dry_run)
            print_line(f"{resource.key} {outcome}{' (dry run)' if dry_run else ''}")

    with_platform(work)


@click.command()
@files_option
@namespace_option
def diff(files: tuple[Path, ...], namespace: str) -> None:
    """Show what apply would change, as a unified diff. Exit code 3 if it would change something."""
    resources = platform.read_resources(files_of(files), WRITTEN, namespace)

    async def work(store: "platform.PlatformStore") -> list[str]:
        changes = [(each.key, await platform.changes_of(store, each)) for each in resources]
        return [
            line
            for key, (before, after) in changes
            for line in unified_diff(
                before.splitlines(), after.splitlines(), f"{key} now", f"{key} in the file", lineterm=""
            )
        ]

    if lines := with_platform(work):
        for line in lines:
            print_line(line)
        sys.exit(DONE_BUT)


@click.command()
@click.argument("targets", metavar="KIND/NAME...", nargs=-1)
@click.option("--filename", "-f", "files", type=click.Path(path_type=Path), multiple=True, help="Those in a file.")
@namespace_option
@click.option("--force-release", is_flag=True, help="Do not wait until nothing of them is left in other clusters.")
def delete(targets: tuple[str, ...], files: tuple[Path, ...], namespace: str, force_release: bool) -> None:
    """Delete resources with all that they own; programs that run for them are ended.

    A run with steps in other clusters stays until these have said that nothing of it is left there.
    """
    keys = [platform.parse_key(each, KINDS, namespace) for each in targets]
    if files:
        keys += [each.key for each in platform.read_resources(files_of(files), WRITTEN, namespace)]
    if not keys:
        raise click.UsageError("name what to delete: KIND/NAME, or --filename FILE")

    async def work(store: "platform.PlatformStore") -> None:
        for key in keys:
            left = await platform.force_release(store, key) if force_release else await store.delete(key)
            holders = await platform.holders_of(store, key)
            print_line(f"{key} is being deleted: waits for {', '.join(holders)}" if holders else f"{key} deleted")
            for each in left or ():
                print_line(f"{each} is left, if it was there; the operator deletes it when that cluster answers")

    with_platform(work)


@click.command()
@target_argument
@namespace_option
def suspend(target: str, namespace: str) -> None:
    """End what runs for a resource and start nothing more, until it is resumed."""
    _suspend(target, namespace, True)


@click.command()
@target_argument
@namespace_option
def resume(target: str, namespace: str) -> None:
    """Run what was suspended; what was ended then is started again, and is no failed attempt."""
    _suspend(target, namespace, False)


def _suspend(target: str, namespace: str, value: bool) -> None:
    key = platform.parse_key(target, KINDS, namespace)
    with_platform(lambda store: platform.suspend(store, key, value))
    print_line(f"{key} {'suspended' if value else 'resumed'}")
