"""The page of benchmarks/gateway.py, from what its parts have found."""

from collections.abc import Sequence
from typing import Any

ECHO_CONNECTIONS, WINDOW = 100, 16
SLOW_DEVICES = 100
PASSES = 3


def gateway_page(devices: int, found: dict[str, Any]) -> str:
    """Of the parts that there are."""
    machine = next(iter(found.values()))["machine"]
    loads = ", ".join(f"{name} {each['load']:.1f}" for name, each in found.items())
    lines = [
        "# The gateway beside its library, aiohttp and a broker",
        "",
        f"{machine}. `python benchmarks/gateway.py --devices {devices}` writes this page; devices run in",
        "processes beside the gateway on the same cores, so only ratios of one run mean anything. Load of the",
        f"machine when each part began: {loads}.",
    ]
    for name, each in found.items():
        lines += ["", *_TABLES[name](devices, each)]
    return "\n".join(lines) + "\n"


def _echo_table(devices: int, found: dict[str, Any]) -> list[str]:
    rates: dict[str, list[dict[str, float]]] = found["rates"]
    bare = next(iter(rates.values()))
    lines = [
        f"## {ECHO_CONNECTIONS} connections, {WINDOW} messages of 256 bytes under way on each",
        "",
        f"| server | rate beside picows alone, median of {PASSES} | each pass | processor time a message beside it |",
        "|---|---:|---:|---:|",
    ]
    for name, values in rates.items():
        each = [one["messages"] / other["messages"] for one, other in zip(values, bare, strict=True)]
        busy = _median([one["server_us"] / other["server_us"] for one, other in zip(values, bare, strict=True)])
        lines.append(f"| {name} | {_median(each):.2f} | {', '.join(f'{one:.2f}' for one in each)} | {busy:.2f} |")
    return lines


def _tls_table(devices: int, found: dict[str, Any]) -> list[str]:
    one, other = found["picows"], found["aiohttp"]
    names = (("kb_a_connection", "KB a connection"), ("connects", "connects"), ("messages", "messages"))
    lines = [
        f"## TLS, {one['connections']:,.0f} connections, servers alone",
        "",
        "| | aiohttp beside picows |",
        "|---|---:|",
    ]
    lines += [f"| {text} | {other[name] / one[name]:.2f} |" for name, text in names]
    return [
        *lines,
        "",
        f"picows has {one['kb_a_connection']:.0f} KB a connection, aiohttp {other['kb_a_connection']:.0f}.",
    ]


def _slow_table(devices: int, found: dict[str, Any]) -> list[str]:
    lines = [
        f"## {SLOW_DEVICES} devices beside one that reads 1 B/s",
        "",
        "| acknowledged after | with it, times without it | each pass |",
        "|---|---:|---:|",
    ]
    for place, name in enumerate(("p50", "p99")):
        beside, alone = ([each[place] for each in found[which_]] for which_ in ("with", "without"))
        each = ", ".join(f"{one / other:.2f}" for one, other in zip(beside, alone, strict=True))
        lines.append(f"| {name} | {_median(beside) / _median(alone):.2f} | {each} |")
    return lines


def _crowd_table(devices: int, found: dict[str, Any]) -> list[str]:
    lines = [f"## {devices:,} devices in one process", "", "| | |", "|---|---:|"]
    lines += [f"| {name} | {value} |" for name, value in found["shown"].items()]
    told = f"Messages acknowledged: {found['acknowledged']:,}"
    return [*lines, "", f"{told}; what the store lacks or has twice: {found['problems']}."]


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


_TABLES = {"echo": _echo_table, "tls": _tls_table, "slow": _slow_table, "crowd": _crowd_table}
