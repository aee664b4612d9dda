"""Commands that decide rollouts: promote and abort."""

import click

from lykeion import platform
from lykeion.core import print_line

from .platform_options import namespace_option, target_argument, with_platform


@click.command()
@target_argument
@namespace_option
def promote(target: str, namespace: str) -> None:
    """Give the new version of a serving all requests as soon as its replicas are ready, without further steps.

    Also a version that was rolled back.
    """
    key = platform.parse_key(target, platform.KINDS, namespace)
    with_platform(lambda store: platform.decide_rollout(store, key, "promote"))
    print_line(f"{key} promoted")


@click.command()
@target_argument
@namespace_option
def abort(target: str, namespace: str) -> None:
    """Roll the new version of a serving back; the stable one gets all requests."""
    key = platform.parse_key(target, platform.KINDS, namespace)
    with_platform(lambda store: platform.decide_rollout(store, key, "abort"))
    print_line(f"{key} aborted")
