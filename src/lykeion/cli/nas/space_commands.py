"""``lykeion nas space``: the networks that a search chooses from, and the cost of one of them."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from lykeion import nas, nets
from lykeion.cli.options import json_option
from lykeion.cli.output import print_json, print_table


@click.group()
def space() -> None:
    """The search spaces: the networks that a search chooses from."""


@space.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the search spaces with the number of networks in each."""
    found = list(nas.spaces().values())
    if as_json:
        spaces = [
            {
                "name": each.name,
                "photo": [each.height, each.width, each.channels],
                "slots": len(each.slots),
                "networks": each.size,
                "choices": each.offered,
            }
            for each in found
        ]
        print_json({"spaces": spaces})
        return
    print_table(
        ("space", "photo", "slots", "networks", "choices a slot"),
        [
            (each.name, f"{each.height}²", len(each.slots), f"{each.size:.2g}", " ".join(each.offered))
            for each in found
        ],
        right=("photo", "slots", "networks"),
    )


@space.command()
@click.argument("name")
@click.option("--network", metavar="GENOTYPE", help="A network of the space, as k3e6s-skip-…, one choice per slot.")
@click.option("--device", metavar="PROFILE", help="A profile's file, or pixel1: adds latency to --network.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the network's architecture there."
)
@json_option
def show(name: str, network: str | None, device: str | None, out: Path | None, as_json: bool) -> None:
    """Show the slots of a search space, or one of its networks, slot by slot.

    A network's latency is predicted from the device's profile; its energy is modelled, not measured.
    """
    if network is None and (device or out):
        raise click.UsageError("--device and --out need a --network")
    found = nas.find_space(name)
    if network is None:
        _show_slots(found, as_json)
    else:
        _show_network(found, nas.parse_genotype(network), device, out, as_json)


def _show_slots(found: "nas.Space", as_json: bool) -> None:
    slots = [
        {**asdict(slot), "choices": [nas.format_choice(choice) for choice in slot.choices]} for slot in found.slots
    ]
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


def _show_network(
    found: "nas.Space", genotype: "nas.Genotype", device: str | None, out: Path | None, as_json: bool
) -> None:
    architecture = found.architecture(genotype)
    counts, energy = nets.count(architecture), nas.EnergyTable(found)
    latency = nas.LatencyTable(found, nas.find_profile(device)) if device else None
    if out:
        nets.write_architecture(architecture, out)
    whole: dict[str, Any] = {
        "space": found.name,
        "network": nas.format_genotype(genotype),
        "parameters": counts.parameters,
        "trainable": counts.trainable,
        "multiply_adds": counts.multiply_adds,
        "modelled_energy_uj": energy.total(genotype),
    }
    if latency:
        whole["predicted_ms"] = latency.total(genotype)
    if as_json:
        print_json({**whole, "architecture": architecture.to_json()})
        return
    rows: list[tuple[object, ...]] = [
        (
            slot.position,
            nas.format_choice(choice),
            f"{energy.of(slot, choice):.4g}",
            f"{latency.of(slot, choice):.4g}" if latency else "",
        )
        for slot, choice in zip(found.slots, genotype, strict=True)
    ]
    rows.append(("", "rest", f"{energy.rest:.4g}", f"{latency.rest:.4g}" if latency else ""))
    total_ms = f"{whole['predicted_ms']:.4g}" if latency else ""
    rows.append(("", "network", f"{whole['modelled_energy_uj']:.4g}", total_ms))
    print_table(
        ("slot", "block", "µJ (modelled)", "ms (predicted)"),
        rows,
        title=f"{counts.trainable:,} trained parameters, {counts.multiply_adds / 1e6:,.2f} M MAdds",
        right=("slot", "µJ (modelled)", "ms (predicted)"),
    )
