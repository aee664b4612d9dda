"""The ``lykeion`` command: one file per command group, imported when the group is used."""

import gc
import importlib
import io
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from lykeion import __version__
from lykeion.core import ERROR, READER_GONE, STOPPED, VisibleFormatter, errors_as_exit_codes, print_line

GUIDE = """Photo search and on-device vision: search products by photo; train, find and compress networks.

\b
Two commands do the main job:
  lykeion index add ./photos --index shop.index
  lykeion index query photo.jpg --index shop.index --sheet answers.png
and a third puts it on a page:
  lykeion serve --index shop.index

\b
A network of your own, from training to release:
  lykeion train mobilenet-v2-0.5@96 --data ./labelled --run runs/shoes
  lykeion compress run recipe.yaml --model runs/shoes --data ./labelled --run runs/small
  lykeion models push runs/shoes shoes:canary

Each command has its own --help. Results come as a table, or with --json as one JSON document."""

COMMANDS = {
    "index": ("lykeion.cli.index:index", "Build and search an index of photos."),
    "serve": ("lykeion.cli.serve:serve", "Serve an index over HTTP, with a search page; or a model."),
    "nets": ("lykeion.cli.nets:commands", "List networks and show what they are made of."),
    "train": ("lykeion.cli.train:train", "Train a network on photos."),
    "compress": ("lykeion.cli.compress:commands", "Make a network smaller, step by step; pack it for delivery."),
    "nas": ("lykeion.cli.nas:nas", "Measure a device, and search for the network that suits it."),
    "engines": ("lykeion.cli.engines:engines", "Run model files: measure engines, and choose the best for a goal."),
    "models": ("lykeion.cli.models:models", "Keep versions of models: push, pull, tag, compare; import networks."),
    "device": ("lykeion.cli.device:device", "Be a device: fetch the models signed for it, run them, report."),
    "delivery": ("lykeion.cli.delivery:delivery", "Sign models for devices: publish, refresh, rotate keys, revoke."),
    "gateway": ("lykeion.cli.gateway.gateway_command:gateway", "Hold a connection of each device of a fleet."),
    "simulate": ("lykeion.cli.gateway.swarm_command:simulate", "Run simulated devices against a gateway."),
    "rollout": ("lykeion.cli.rollout:rollout", "Move versions to devices in waves, halted by rules; simulate it."),
    "flags": ("lykeion.cli.flags:flags", "Keep feature flags: who gets which value; read by GrowthBook's clients."),
    "experiment": ("lykeion.cli.experiment:experiment", "Compare variants by what units do, at every look."),
    "images": ("lykeion.cli.images:images", "Build container images for training and serving; start them."),
    "up": ("lykeion.cli.platform.machine_commands:up", "Run this machine as the platform for resources."),
    "down": ("lykeion.cli.platform.machine_commands:down", "End the platform and the programs that it runs."),
    "backup": ("lykeion.cli.platform.machine_commands:backup", "Write the platform's state to a file."),
    "restore": ("lykeion.cli.platform.machine_commands:restore_state", "Make the platform what it was at a backup."),
    "apply": ("lykeion.cli.platform.change_commands:apply", "Make or change the resources in files."),
    "diff": ("lykeion.cli.platform.change_commands:diff", "Show what apply would change."),
    "get": ("lykeion.cli.platform.view_commands:get", "Show resources."),
    "describe": ("lykeion.cli.platform.view_commands:describe", "Show a resource with its events."),
    "events": ("lykeion.cli.platform.view_commands:show_events", "Show what has happened to a resource."),
    "logs": ("lykeion.cli.platform.view_commands:logs", "Print what a program has printed."),
    "metrics": ("lykeion.cli.platform.metrics_command:metrics", "Show what a program reports while it trains."),
    "wait": ("lykeion.cli.platform.view_commands:wait", "Wait for a condition of a resource."),
    "suspend": ("lykeion.cli.platform.change_commands:suspend", "End what runs for a resource, until it is resumed."),
    "resume": ("lykeion.cli.platform.change_commands:resume", "Run what was suspended."),
    "promote": ("lykeion.cli.platform.rollout_commands:promote", "Give a new version of a serving all requests."),
    "abort": ("lykeion.cli.platform.rollout_commands:abort", "Roll a new version of a serving back."),
    "run": ("lykeion.cli.platform.run_commands:run", "Run a pipeline now."),
    "retry": ("lykeion.cli.platform.run_commands:retry", "Do again what failed, as a new resource."),
    "render": ("lykeion.cli.platform.render_command:render", "Print what a cluster would be given for resources."),
    "operator": ("lykeion.cli.platform.operator_commands:operator", "Install what carries resources in a cluster."),
    "delete": ("lykeion.cli.platform.change_commands:delete", "Delete resources."),
}


_COLLECT_AFTER = 50_000
"""New objects until garbage is looked for. Imports make many and no garbage: by Python's default of 700 a tenth of a
command's start is spent on looking."""


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is used, not when it is listed."""

    def __init__(self, commands: Mapping[str, tuple[str, str]]) -> None:
        super().__init__(
            "lykeion",
            help=GUIDE,
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        )
        self._targets = commands

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._targets)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._targets:
            return None
        module, _, name = self._targets[cmd_name][0].partition(":")
        return getattr(importlib.import_module(module), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._targets.items()])


app = click.option(
    "--context",
    envvar="LYKEION_CONTEXT",
    metavar="NAME",
    help="Of the kubeconfig: the cluster for commands on resources.  [env: LYKEION_CONTEXT; default: this machine]",
)(click.version_option(__version__, prog_name="lykeion")(LazyGroup(COMMANDS)))


def main() -> None:
    """Run the command. An error that a user can cause becomes one line on standard error, without a traceback."""
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
    assert logging.lastResort
    logging.lastResort.setFormatter(VisibleFormatter())
    _open_standard_streams()
    stdout = sys.stdout
    try:
        with errors_as_exit_codes():
            app(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(STOPPED)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        for line in shown.getvalue().rstrip("\n").split("\n"):
            print_line(line, err=True)
        sys.exit(ERROR)
    except SystemExit:
        if sys.stdout is not stdout:  # click has replaced it, because the reader of the pipe has gone
            sys.exit(READER_GONE)
        raise


def _open_standard_streams() -> None:
    """Open missing streams, so that no other file gets their descriptors; escape what cannot be encoded."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or Path(os.devnull).open("w")  # noqa: SIM115
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, stream)
