"""Draws which rooms import which, from the source and from the layers in pyproject.toml: docs/pictures/rooms.svg.

Run it when the test of the picture fails. Layers are drawn from the top; rooms to come are dashed. The lines of cli,
which imports nearly all rooms, and of core, which all import, are left out.
"""

import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "pictures" / "rooms.svg"
WIDTH, BOX, HEIGHT, STEP = 920, 116, 34, 84
WITHOUT_LINES = {"", "cli", "core"}
COLOURS = ("#4477aa", "#ee6677", "#228833", "#aa8800", "#0099aa", "#aa3377", "#777777")

Place = tuple[float, float]


def layers() -> list[list[str]]:
    """The rooms of each layer, from the top; in parentheses those to come."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    rows = next(contract["layers"] for contract in contracts if contract["name"] == "layers")
    return [[room.replace("lykeion.", "") for room in row.split(" | ")] for row in rows]


def edges() -> list[tuple[str, str]]:
    """Which room imports which, type-checking imports included."""
    graph = grimp.build_graph("lykeion", cache_dir=None)
    found = {
        (_room(module), _room(imported))
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
    }
    return sorted(edge for edge in found if len(set(edge)) == 2 and not WITHOUT_LINES.intersection(edge))


def draw() -> str:
    """The picture, as SVG."""
    rows, lines = layers(), edges()
    places = {room: place for number, row in enumerate(rows) for room, place in _places(row, number)}
    importers = list(dict.fromkeys(one for one, _ in lines))
    colours = {room: COLOURS[number % len(COLOURS)] for number, room in enumerate(importers)}
    shown = [_line(places[one], places[other], colours[one], f"{one} imports {other}") for one, other in lines]
    shown += [_box(room, place, colours.get(room, "#999999")) for room, place in places.items()]
    size = f"{WIDTH} {STEP * len(rows)}"
    style = "font: 14px sans-serif; background: #ffffff"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" style="{style}">'
    return "\n".join([head, *shown, "</svg>", ""])


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _places(row: list[str], number: int) -> list[tuple[str, Place]]:
    """The centre of each room's box."""
    gap = WIDTH / len(row)
    return [(room, (gap * (column + 0.5), STEP * (number + 0.5))) for column, room in enumerate(row)]


def _line(start: Place, end: Place, colour: str, title: str) -> str:
    (x, y), (to_x, to_y) = start, end
    y, to_y = y + HEIGHT / 2, to_y - HEIGHT / 2
    bend = (to_y - y) / 2
    path = f"M{x:.0f} {y:.0f} C{x:.0f} {y + bend:.0f} {to_x:.0f} {to_y - bend:.0f} {to_x:.0f} {to_y:.0f}"
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.4"><title>{title}</title></path>'


def _box(room: str, centre: Place, colour: str) -> str:
    x, y = centre
    dashes = ' stroke-dasharray="4 3"' if room.startswith("(") else ""
    return (
        f'<rect x="{x - BOX / 2:.0f}" y="{y - HEIGHT / 2:.0f}" width="{BOX}" height="{HEIGHT}" rx="5" fill="#ffffff" '
        f'stroke="{colour}" stroke-width="1.6"{dashes}/>'
        f'<text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle">{room.strip("()")}</text>'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw())
