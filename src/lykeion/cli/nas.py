"""``lykeion nas``: device latency and search spaces. The search itself is in ``nas_search``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import json_option, quiet_option
from .output import print_json, print_table

if TYPE_CHECKING:
    from lykeion.engines.profile import DeviceProfile
    from lykeion.nas.space import Genotype, Space

HOST = "host"


@click.group()
def nas() -> None:
    """Measure what blocks cost on a device, and search for the network that suits it.

    \b
    lykeion nas space list
    lykeion nas profile --space mobilenetv3-32 --out here.json        this machine, in a minute
    lykeion nas profile --show here.json
    lykeion nas space show mobilenetv3-32 --device here.json --network k3e3-…
    """


@nas.command()
@click.option("--device", default=HOST, show_default=True, help="host: this machine; or the name of an imported one.")
@click.option("--threads", type=click.IntRange(1, 256), default=1, show_default=True, help="That the engine uses.")
@click.option("--space", "space_name", default="mobilenetv3-32", show_default=True, help="The blocks of this space.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Where to write the profile.")
@click.option("--export", type=click.Path(path_type=Path), metavar="DIR", help="Write block files for a phone there.")
@click.option("--import", "results", type=click.Path(path_type=Path), metavar="DIR", help="Read a phone's results.")
@click.option("--show", metavar="FILE", help="Print a profile; or pixel1, the published one.")
@click.option("--png", type=click.Path(path_type=Path), metavar="FILE", help="Draw the profile.")
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
    quiet: bool,
) -> None:
    """Measure the latency of every block of a search space on a device, through LiteRT.

    \b
      lykeion nas profile --out here.json                    this machine
      lykeion nas profile --export blocks --threads 4        for a phone: then run blocks/run.sh
      lykeion nas profile --import blocks --out phone.json   read what it measured
      lykeion nas profile --show phone.json

    Keep the machine quiet. A measurement that was stopped goes on when the command is run again.
    """
    if sum(given is not None for given in (export, results, show)) > 1:
        raise click.UsageError("--export, --import and --show exclude one another")
    if export is not None:
        _export(export, space_name, threads, as_json, quiet)
        return
    if show is not None:
        made = _read(show)
    elif out is None:
        raise click.UsageError("say where to write the profile: --out FILE")
    elif results is not None:
        made = _import(results, "" if device == HOST else device, out)
    elif device == HOST:
        made = _measure(space_name, threads, out, quiet)
    else:
        raise click.UsageError(
            f"only this machine can be measured from here; for {device!r} use --export and --import"
        )
    if png:
        from lykeion.nas.pictures import draw_profile

        draw_profile(made, png)
    if as_json:
        print_json(made.to_json())
    else:
        _print_profile(made)


def _export(directory: Path, space_name: str, threads: int, as_json: bool, quiet: bool) -> None:
    from lykeion.nas import phone
    from lykeion.nas.named_spaces import find_space

    files = phone.export(find_space(space_name), directory, threads=threads, quiet=quiet)
    if as_json:
        print_json({"directory": str(directory), "files": files, "space": space_name, "threads": threads})
    else:
        print(f"{files} block files in {directory}. With the phone connected: {directory}/run.sh BENCHMARK_MODEL")


def _read(device: str) -> "DeviceProfile":
    from lykeion.nas.latency import find_profile

    return find_profile(device)


def _import(results: Path, name: str, out: Path) -> "DeviceProfile":
    from lykeion.engines.profile import write_profile
    from lykeion.nas.phone import import_results

    made = import_results(results, name=name)
    write_profile(made, out)
    return made


def _measure(space_name: str, threads: int, out: Path, quiet: bool) -> "DeviceProfile":
    from lykeion.engines.profile import write_profile
    from lykeion.nas import profiling
    from lykeion.nas.named_spaces import find_space

    journal = out.with_name(f"{out.name}.passes.jsonl")
    made = profiling.profile_host(find_space(space_name), threads=threads, journal=journal, quiet=quiet)
    write_profile(made, out)
    journal.unlink(missing_ok=True)
    return made


def _print_profile(made: "DeviceProfile") -> None:
    """One line a slot, one column a choice, as the profile has them."""
    unit, factor = ("ms", 1.0) if made.rest_ms >= 1 else ("µs", 1e3)
    choices = list(dict.fromkeys(key.partition("/")[2] for key in made.table))
    positions = list(dict.fromkeys(key.partition("/")[0] for key in made.table))
    rows: list[tuple[str, ...]] = []
    for position in positions:
        found = (made.table.get(f"{position}/{choice}") for choice in choices)
        rows.append((position, *("" if value is None else f"{value * factor:.4g}" for value in found)))
    print_table(("slot", *choices), rows, title=f"{made.space}: {unit} a block", right=("slot", *choices))
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


def _fitted(made: "DeviceProfile") -> str:
    return f"fitted on {made.fitted_on} whole networks" if made.fitted_on else "not fitted"


@nas.group()
def space() -> None:
    """The search spaces: which networks a search chooses among."""


@space.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the search spaces with the number of networks in each."""
    from lykeion.nas.named_spaces import spaces

    found = [
        {
            "name": each.name,
            "photo": [each.height, each.width, each.channels],
            "slots": len(each.slots),
            "networks": each.size,
            "choices": [str(choice) for choice in _choices(each)],
        }
        for each in spaces().values()
    ]
    if as_json:
        print_json({"spaces": found})
        return
    print_table(
        ("space", "photo", "slots", "networks", "choices a slot"),
        [
            (
                each["name"],
                f"{each['photo'][0]}²",
                each["slots"],
                f"{each['networks']:.2g}",
                " ".join(each["choices"]),
            )
            for each in found
        ],
        right=("photo", "slots", "networks"),
    )


@space.command("show")
@click.argument("name")
@click.option("--network", metavar="GENOTYPE", help="A network of the space, as k3e6s-skip-…, one choice a slot.")
@click.option("--device", metavar="PROFILE", help="A profile's file, or pixel1: adds latency to --network.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the network's architecture there."
)
@json_option
def show_space(name: str, network: str | None, device: str | None, out: Path | None, as_json: bool) -> None:
    """Show the slots of a search space, or one of its networks, slot by slot.

    A network's latency is predicted from the device's profile; its energy is modelled, not measured.
    """
    from lykeion.nas.named_spaces import find_space
    from lykeion.nas.space import parse_genotype

    if network is None and (device or out):
        raise click.UsageError("--device and --out need a --network")
    found = find_space(name)
    if network is None:
        _show_slots(found, as_json)
    else:
        _show_network(found, parse_genotype(network), device, out, as_json)


def _show_slots(found: "Space", as_json: bool) -> None:
    from lykeion.nas.space import format_choice

    slots = [{**asdict(slot), "choices": [format_choice(choice) for choice in slot.choices]} for slot in found.slots]
    if as_json:
        print_json({"name": found.name, "networks": found.size, "slots": slots})
        return
    print_table(
        ("slot", "stage", "input", "output", "stride", "activation", "choices"),
        [
            (
                slot["position"],
                slot["stage"],
                f"{slot['height']}×{slot['width']}×{slot['channels_in']}",
                slot["output"],
                slot["stride"],
                slot["activation"],
                " ".join(slot["choices"]),
            )
            for slot in slots
        ],
        title=f"{found.name}: {found.size:,} networks",
        right=("slot", "stage", "input", "output", "stride"),
    )


def _show_network(found: "Space", genotype: "Genotype", device: str | None, out: Path | None, as_json: bool) -> None:
    from lykeion.nas.energy import EnergyTable
    from lykeion.nas.latency import LatencyTable, find_profile
    from lykeion.nas.space import format_choice, format_genotype
    from lykeion.nets import catalogue, count

    architecture = found.architecture(genotype)
    counts, energy = count(architecture), EnergyTable(found)
    latency = LatencyTable(found, find_profile(device)) if device else None
    if out:
        catalogue.write(architecture, out)
    whole: dict[str, Any] = {
        "space": found.name,
        "network": format_genotype(genotype),
        "parameters": counts.parameters,
        "trainable": counts.trainable,
        "multiply_adds": counts.multiply_adds,
        "modelled_energy_uj": energy.predict_uj(genotype),
    }
    if latency:
        whole["predicted_ms"] = latency.predict_ms(genotype)
    if as_json:
        print_json({**whole, "architecture": architecture.to_json()})
        return
    rows: list[tuple[object, ...]] = [
        (
            slot.position,
            format_choice(choice),
            f"{energy.uj(slot, choice):.4g}",
            f"{latency.ms(slot, choice):.4g}" if latency else "",
        )
        for slot, choice in zip(found.slots, genotype, strict=True)
    ]
    rows.append(("", "rest", f"{energy.rest_uj:.4g}", f"{latency.rest_ms:.4g}" if latency else ""))
    total_ms = f"{whole['predicted_ms']:.4g}" if latency else ""
    rows.append(("", "network", f"{whole['modelled_energy_uj']:.4g}", total_ms))
    print_table(
        ("slot", "block", "µJ (modelled)", "ms (predicted)"),
        rows,
        title=f"{counts.trainable:,} trained parameters, {counts.multiply_adds:,} multiply-adds",
        right=("slot", "µJ (modelled)", "ms (predicted)"),
    )


def _choices(found: "Space") -> list[object]:
    return list(dict.fromkeys(choice for slot in found.slots for choice in slot.choices if choice))
