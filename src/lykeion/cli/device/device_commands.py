"""The commands of ``lykeion device``."""

import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from lykeion import device
from lykeion.cli.options import json_option
from lykeion.cli.output import print_json, print_result, print_table
from lykeion.core import DONE_BUT, LykeionError, data_directory, print_line, stop_signals

home_option = click.option(
    "--home",
    envvar="LYKEION_DEVICE",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the device keeps its models, its key and its settings.  [env: LYKEION_DEVICE]",
)


@click.command()
@click.argument("url")
@click.argument("token", default="")
@click.option(
    "--root", type=click.Path(path_type=Path), required=True, help="The repository's first root, 1.root.json."
)
@click.option("--repository", default="", metavar="URL", help="Where metadata and targets are.  [default: URL]")
@click.option("--search", default="", metavar="URL", help="A photo search service.")
@click.option("--model", "models", multiple=True, metavar="NAME", help="A model to run; repeat it for more.")
@click.option("--class", "device_class", default="any", show_default=True, metavar="NAME", help="Without a server.")
@click.option("--attribute", "attributes", multiple=True, metavar="NAME=VALUE", help="Told to the server.")
@click.option("--photos-may-leave", is_flag=True, help="Consent: photos are sent where a vector will not do.")
@home_option
def enroll(
    url: str, token: str, root: Path, repository: str, search: str, models: tuple[str, ...], device_class: str,
    attributes: tuple[str, ...], photos_may_leave: bool, home: Path | None,
) -> None:  # fmt: skip
    """Set this device up with the server at URL and a one-time TOKEN; without one, URL is a static repository."""
    settings = device.DeviceSettings(
        repository or url,
        device_class,
        models,
        server=url if token else "",
        search=search,
        photos_may_leave=photos_may_leave,
        attributes=dict(_pair(each) for each in attributes),
    )
    name = device.set_up_device(_home(home), settings, device.read_root(root), token)
    print_line(
        f"enrolled as {name}" if name else f"set up; it runs the newest version of {', '.join(models) or 'none'}"
    )


@click.command()
@click.option(
    "--video", type=click.Path(path_type=Path), help="A video as the camera: .y4m, animation, folder of photos."
)
@click.option(
    "--ask", type=click.Choice(("classify", "embed", "detect", "search")), default="classify", show_default=True
)
@click.option("--model", default="", metavar="NAME", help="If there are several.")
@click.option("--detector", default="", metavar="NAME", help="Ask about the best box that this model finds.")
@click.option(
    "--every", "every_s", type=click.IntRange(1), default=3_600, show_default=True, help="Seconds to an update."
)
@click.option("--once", is_flag=True, help="One update, without a video.")
@click.option("--fast", is_flag=True, help="Read the video as fast as it can be, not at its own speed.")
@home_option
def run(
    video: Path | None, ask: Any, model: str, detector: str, every_s: int, once: bool, fast: bool, home: Path | None
) -> None:
    """Keep models up to date, and answer about a camera's newest frame until the video ends."""
    with device.Device(_home(home)) as this:
        times = device.RetryTimes(every_s)
        wait_s = _update(this, times)
        if once:
            return
        if this.settings.server:
            this.go_live()
        with stop_signals() as stop, _updating(this, times, wait_s, stop):
            if video is None:
                stop.wait()
                return
            frames = device.video_frames(video, realtime=not fast)
            for answer in device.live_answers(this, frames, ask, model, detector):
                print_json(answer)
                if stop.is_set():
                    return


@click.command()
@json_option
@home_option
def status(as_json: bool, home: Path | None) -> None:
    """Show which versions are on this device, and how far each has come."""
    with device.Device(_home(home)) as this:
        found = {name: state.to_json() for name, state in this.models().items()}
    if as_json:
        print_json({"models": found})
        return
    rows = [
        (name, slot, each["target"]["version"], each["step"], each["runs"])
        for name, state in found.items()
        for slot in ("running", "other")
        if (each := state[slot])
    ]
    print_table(("model", "slot", "version", "step", "runs"), rows, right=("version", "runs"))
    for name, state in found.items():
        for each in state["failed"]:
            print_line(f"{name} version {each['version']} was given up: {each['cause']}")


@click.command()
@json_option
@home_option
def doctor(as_json: bool, home: Path | None) -> None:
    """Look for what is wrong with this device."""
    checks = list(device.check_device(_home(home)))
    plain = [{"check": each.name, "problem": each.problem, "found": each.found} for each in checks]
    print_result(as_json, {"checks": plain}, *(f"{'✗' if c.problem else '✓'} {c.name}: {c.found}" for c in checks))
    if any(check.problem for check in checks):
        raise click.exceptions.Exit(DONE_BUT)


@contextmanager
def _updating(
    this: "device.Device", times: "device.RetryTimes", wait_s: float, stop: threading.Event
) -> Generator[None]:
    """Updates in a thread of their own, while the camera goes on; at once when the gateway says so."""
    done, wake = threading.Event(), threading.Event()
    this.on(lambda message: wake.set() if message.kind == "desired" else None)

    def update() -> None:
        seconds = wait_s
        while not done.is_set() and not stop.is_set():
            wake.wait(seconds)
            wake.clear()
            if not done.is_set():
                with suppress(LykeionError):
                    seconds = _update(this, times)

    thread = threading.Thread(target=update, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        wake.set()


def _update(this: "device.Device", times: "device.RetryTimes") -> float:
    """After how many seconds to update again."""
    outcome = this.update()
    for what, problem in outcome.problems.items():
        print_line(f"{what}: {problem}" if what else problem, err=True)
    return times.after(outcome)


def _home(home: Path | None) -> Path:
    return home or data_directory() / "device"


def _pair(text: str) -> tuple[str, str | int | bool]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE")
    if value in ("true", "false"):
        return name, value == "true"
    return name, int(value) if value.lstrip("-").isdecimal() else value
