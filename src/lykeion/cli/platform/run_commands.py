"""Commands that run something again, or on demand: run, retry."""

import click

from lykeion import platform
from lykeion.core import print_line

from .platform_options import namespace_option, pair_of, target_argument, with_platform

name_option = click.option("--name", default="", help="Of the new resource.  [default: the next that is free]")


@click.command()
@target_argument
@click.option(
    "--parameter",
    "-p",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="The value of a parameter; may be repeated.",
)
@click.option(
    "--from",
    "first",
    default="",
    metavar="STEP",
    help="Run this step and those after it; the others are taken from the last run with the same parameters.",
)
@name_option
@namespace_option
def run(target: str, parameters: tuple[str, ...], first: str, name: str, namespace: str) -> None:
    """Run a pipeline now, or build an image again.

    \b
      lykeion run pipeline/nightly -p day=2026-11-01
      lykeion run pipeline/nightly -p day=2026-11-01 --from publish
      lykeion run imagebuild/shop-search
    """
    pairs = dict(map(pair_of, parameters))
    key = platform.parse_key(target, platform.KINDS, namespace)
    if key.kind == "ImageBuild":
        if parameters or first or name:
            raise click.UsageError("--parameter, --from and --name are options of pipelines")
        with_platform(lambda store: platform.build_again(store, key))
        print_line(f"{key} is built again")
        return
    made = with_platform(lambda store: platform.run_pipeline(store, key, pairs, first=first, name=name))
    print_line(f"{made.key} created")


@click.command()
@target_argument
@click.option(
    "--from",
    "first",
    default="",
    metavar="STEP",
    help="Of a run: this step and those after it.",
)
@name_option
@namespace_option
def retry(target: str, first: str, name: str, namespace: str) -> None:
    """Do again what failed, as a new resource; the old one stays as it ended.

    Of a batch, the shards that have not succeeded are run; of a run, the steps; a training begins again.
    """
    key = platform.parse_key(target, platform.KINDS, namespace)
    made = with_platform(lambda store: platform.retry(store, key, first=first, name=name))
    print_line(f"{made.key} created")
