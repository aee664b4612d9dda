"""``lykeion nas profile``: the latency of blocks on a device."""

from pathlib import Path

import click

from lykeion import nas
from lykeion.cli.options import PICTURE, json_option, quiet_option, refuse_options
from lykeion.cli.output import print_json, print_result, print_table
from lykeion.core import Reporter
from lykeion.engines import choosing

HOST = "host"


@click.command()
@click.option("--device", default=HOST, show_default=True, help="host: this machine; or the name of an imported one.")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="Threads of the engine.")
@click.option("--space", "space_name", default="mobilenetv3-32", show_default=True, help="The blocks of this space.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Where to write the profile.")
@click.option("--export", type=click.Path(path_type=Path), metavar="DIR", help="Write block files for a phone there.")
@click.option("--import", "results", type=click.Path(path_type=Path), metavar="DIR", help="Read a phone's results.")
@click.option("--show", metavar="FILE", help="Print a profile; or pixel1, the published one.")
@click.option("--png", type=PICTURE, metavar="FILE", help="Draw the profile.")
@json_option
@quiet_option
def profile(
    device: str,
    threads: int,
    space_name: str,
    out: Path | None,
    export: Path | None,
    results: Path | None,
    show: str | None,
    png: Path | None,
    as_json: bool,
    reporter: Reporter,
) -> None:
    """Measure the latency of every block of a search space on a device, with LiteRT.

    \b
      lykeion nas profile --out here.json                    this machine
      lykeion nas profile --export blocks --threads 4        for a phone: then run blocks/run.sh
      lykeion nas profile --import blocks --out phone.json   read what it measured
      lykeion nas profile --show phone.json

    Keep the machine quiet. The same command resumes an interrupted measurement.
    """
    if sum(given is not None for given in (export, results, show)) > 1:
        raise click.UsageError("--export, --import and --show exclude one another")
    if export is not None:
        refuse_options("--export measures nothing here", "device", "out", "png")
        _export(export, space_name, threads, as_json, reporter)
        return
    if show is not None:
        refuse_options("--show measures nothing", "device", "threads", "space_name", "out")
        made = nas.find_profile(show)
    elif out is None:
        raise click.UsageError("say where to write the profile: --out FILE")
    elif results is not None:
        refuse_options("--import reads what was exported", "threads", "space_name")
        made = nas.import_phone_results(results, name="" if device == HOST else device)
        choosing.write_profile(made, out)
    elif device == HOST:
        made = nas.write_host_profile(nas.find_space(space_name), out, threads=threads, reporter=reporter)
    else:
        raise click.UsageError(
            f"only this machine can be measured from here; for {device!r} use --export and --import"
        )
    if png:
        nas.draw_profile(made, png)
    if as_json:
        print_json(made.to_json())
    else:
        _print_profile(made)


def _export(directory: Path, space_name: str, threads: int, as_json: bool, reporter: Reporter) -> None:
    files = nas.export_to_phone(nas.find_space(space_name), directory, threads=threads, reporter=reporter)
    document = {"directory": str(directory), "files": files, "space": space_name, "threads": threads}
    ready = f"{files} block files in {directory}. With the phone connected: {directory}/run.sh BENCHMARK_MODEL"
    print_result(as_json, document, ready)


def _print_profile(made: "choosing.DeviceProfile") -> None:
    """One line per slot, and another with squeeze-and-excitation; one column for each kernel and expansion."""
    unit, factor = ("ms", 1.0) if made.rest_ms >= 1 else ("µs", 1e3)
    keys = [key.partition("/") for key in made.table]
    columns = sorted({choice.removesuffix("s") for _, _, choice in keys})
    rows: list[tuple[str, ...]] = []
    for line in dict.fromkeys((position, "s" if choice.endswith("s") else "") for position, _, choice in keys):
        found = [made.table.get(f"{line[0]}/{column}{line[1]}") for column in columns]
        rows.append(("  ".join(line), *("" if value is None else f"{value * factor:.4g}" for value in found)))
    print_table(("slot", *columns), rows, title=f"{made.space}: {unit} a block", right=columns)
    facts = [
        ("device", f"{made.name}, {made.engine} {made.engine_version}, {made.threads} thread(s), {made.precision}"),
        ("rest", f"{made.rest_ms * factor:.4g} {unit}: stem, first block, last convolution, head"),
        ("network", f"{made.scale:.4f} · (rest + blocks) {made.offset_ms * factor:+.4g} {unit}, {_fitted(made)}"),
        ("source", f"{made.source} {made.created}"),
    ]
    if noise := made.noise:
        facts.append(
            (
                "noise",
                f"reference {noise.reference_ms:.4g} ms at best, {noise.reference_busy:.1%} more in the median of "
                f"{noise.passes} passes; two best passes of a block at most {noise.worst_spread:.1%} apart",
            )
        )
    print_table(("", ""), facts)


def _fitted(made: "choosing.DeviceProfile") -> str:
    if not made.fitted_on:
        return "not fitted"
    off = "" if made.fit_error is None else f", {made.fit_error:.1%} off in the mean"
    return f"fitted on {made.fitted_on} whole networks{off}"
