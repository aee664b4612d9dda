"""Commands that show resources: get, describe, events, logs, wait."""

import sys
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import click

from lykeion import platform
from lykeion.cli.options import json_option
from lykeion.cli.output import print_json, print_table
from lykeion.core import print_line

from .composed_kinds import KINDS
from .platform_options import namespace_option, target_argument, with_platform


@click.command()
@click.argument("what", metavar="KIND[,KIND...]|KIND/NAME")
@namespace_option
@click.option("--all-namespaces", "-A", is_flag=True, help="In every namespace.")
@click.option(
    "--output",
    "-o",
    default="table",
    show_default=True,
    type=click.Choice(("table", "wide", "yaml", "json", "name")),
    help="How they are shown.",
)
@json_option
def get(what: str, namespace: str, all_namespaces: bool, output: str, as_json: bool) -> None:
    """Show resources: those of one or more kinds, or one of them.

    Kinds may be shortened as in kubectl; `all` is every kind that there is.
    """
    where = None if all_namespaces else namespace
    found, unreadable = with_platform(lambda store: platform.find(store, what, where, KINDS))
    for problem in unreadable:
        print_line(f"warning: {problem}", err=True)
    if as_json or output == "json":
        print_json(platform.as_list(found, one="/" in what), indent=2)
    elif output == "yaml":
        sys.stdout.write(platform.as_yaml(platform.as_list(found, one="/" in what)))
    elif output == "name":
        for each in found:
            print_line(each.key)
    elif not found:
        print_line("no resources found", err=True)
    else:
        _print_tables(found, wide=output == "wide", named=all_namespaces)


@click.command()
@target_argument
@namespace_option
def describe(target: str, namespace: str) -> None:
    """Show a resource with its events."""
    key = platform.parse_key(target, KINDS, namespace)

    async def work(store: "platform.PlatformStore") -> tuple[Any, Any]:
        return await store.get(key), await store.events(key)

    resource, events = with_platform(work)
    sys.stdout.write(platform.as_described(resource))
    _print_events(events)


@click.command("events")
@target_argument
@namespace_option
@json_option
def show_events(target: str, namespace: str, as_json: bool) -> None:
    """Show what has happened to a resource, oldest first."""
    key = platform.parse_key(target, KINDS, namespace)
    events = with_platform(lambda store: store.events(key))
    if as_json:
        print_json([platform.event_document(each) for each in events])
    else:
        _print_events(events)


@click.command()
@target_argument
@click.option("--index", default=0, show_default=True, type=click.IntRange(0), help="Of the shard.")
@click.option(
    "--step", default="", metavar="STEP", help="Of a run; or publish, fetch-NAME and the like.  [default: the last]"
)
@click.option("--follow", "-f", is_flag=True, help="Until the resource has finished.")
@click.option("--tail", type=click.IntRange(0), metavar="N", help="Begin with the last N lines.  [default: all]")
@namespace_option
def logs(target: str, index: int, step: str, follow: bool, tail: int | None, namespace: str) -> None:
    """Print what a program has printed: of its last attempt, or of all to come."""
    key = platform.parse_key(target, KINDS, namespace)

    async def work(store: "platform.PlatformStore") -> None:
        async with aclosing(store.log(key, index, part=step, follow=follow, tail=tail)) as chunks:
            async for chunk in chunks:
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()

    with_platform(work)


@click.command()
@target_argument
@click.option(
    "--for",
    "wanted",
    metavar="CONDITION",
    help="condition=TYPE, condition=TYPE=STATUS or delete.  [default: Complete; of a serving or imagebuild, Ready]",
)
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds.  [default: none]")
@namespace_option
def wait(target: str, wanted: str | None, timeout: float | None, namespace: str) -> None:
    """Wait until a condition of a resource is met.

    An error when it has finished otherwise, and after the timeout.
    """
    key = platform.parse_key(target, KINDS, namespace)
    condition = wanted or f"condition={KINDS[key.kind].goal}"
    with_platform(lambda store: platform.wait_for(store, key, condition, timeout, KINDS))
    print_line(f"{key} {'deleted' if condition == 'delete' else f'{condition} met'}")


def _print_tables(resources: list[Any], *, wide: bool, named: bool) -> None:
    now = datetime.now(UTC)
    for kind in dict.fromkeys(each.kind for each in resources):
        rows = [
            [*([each.metadata.namespace] if named else []), *platform.row(each, now, wide=wide)]
            for each in resources
            if each.kind is kind
        ]
        print_table([*(["Namespace"] if named else []), *platform.titles(kind, wide=wide)], rows)


def _print_events(events: Any) -> None:
    rows = [
        (each.at.isoformat(timespec="seconds"), each.event.type, each.event.reason, each.event.message)
        for each in events
    ]
    if rows:
        print_table(("At", "Type", "Reason", "Message"), rows)
