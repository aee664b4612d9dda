"""How well ``index duplicates`` tells copies of a photo from other photos of the same things.

A catalogue is made of Fashion-MNIST, where thousands of different products look alike, and of neighbouring pieces of
the real photos of the tests. Copies are added of every piece and of a part of the Fashion-MNIST photos: recompressed,
resized, brighter, and cropped at random places. A pair of photos is right where both come from one original.
Writes docs/benchmarks/duplicates.md and, of groups that are wrong, duplicates-wrong.png.

    python benchmarks/duplicates.py [--photos 2000] [--copied 100]
"""

import csv
import io
import tempfile
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import click
import numpy as np
from measuring.machine import describe
from PIL import Image

from examples import fashion_mnist
from lykeion.core import CONSOLE
from lykeion.search.index import open_index
from lykeion.search.ingest import add
from lykeion.search.near_duplicates import (
    COSINE,
    COSINE_ALONE,
    LIKENESS,
    Group,
    Pair,
    draw_groups,
    groups_of,
    pairs_of,
)
from lykeion.search.thumbnails import IN_INDEX

ROOT = Path(__file__).parents[1]
KINDS = ("recompressed", "half the size", "brighter", "cropped 5 %", "cropped 10 %", "cropped 20 %")
LIKENESSES = (0.975, 0.985, LIKENESS, 0.9925, 0.995)
COSINES = (0.9, COSINE_ALONE, 0.97, 0.99)


@click.command(help=__doc__)
@click.option("--photos", default=2000, show_default=True, help="Of Fashion-MNIST.")
@click.option("--copied", default=100, show_default=True, help="How many of them are copied.")
@click.option("--out", default=ROOT / "docs" / "benchmarks", type=click.Path(path_type=Path))
def main(photos: int, copied: int, out: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        catalogue, index = Path(temporary) / "photos", Path(temporary) / "shop.index"
        write_catalogue(catalogue, photos, copied)
        add(catalogue / "photos.csv", index)
        look, store = IN_INDEX.reader(index), open_index(index)
        with CONSOLE.progress("comparing photos", store.stats().photos) as progress:
            by_pixels = list(pairs_of(store, look, progress, cosine=COSINE, cosine_alone=2, alike=min(LIKENESSES)))
        with CONSOLE.progress("comparing vectors", store.stats().photos) as progress:
            by_vectors = list(
                pairs_of(store, _nothing, progress, cosine=min(COSINES), cosine_alone=min(COSINES), alike=2)
            )
        products = [id for rows in store.scan() for id in rows.ids]
        store.close()
        chosen = groups_of(pair for pair in by_pixels if likeness(pair) >= LIKENESS)
        out.mkdir(parents=True, exist_ok=True)
        draw_groups(out / "duplicates-wrong.png", [group for group in chosen if len(origins(group)) > 1], look)
    lines = [table_row(f"likeness {at}", products, (p for p in by_pixels if likeness(p) >= at)) for at in LIKENESSES]
    lines += [table_row(f"cosine {at} alone", products, (p for p in by_vectors if p.cosine >= at)) for at in COSINES]
    page = report(
        f"{photos:,} photos of Fashion-MNIST, {copied:,} of them copied, and 24 pieces of real photos", lines
    )
    (out / "duplicates.md").write_text(page)
    print(page)


def write_catalogue(folder: Path, photos: int, copied: int) -> None:
    """A product a photo; ids are ORIGIN for originals and ORIGIN/KIND for copies."""
    folder.mkdir()
    random = np.random.default_rng(3)
    images, _ = fashion_mnist.load("train")
    originals = {f"fashion-{n:05}": Image.fromarray(images[n]).convert("RGB") for n in range(photos)}
    pieces = dict(pieces_of_real_photos())
    with (folder / "photos.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "path"])

        def write(id: str, photo: bytes) -> None:
            name = f"{id.replace('/', '-')}.jpg"
            (folder / name).write_bytes(photo)
            table.writerow([id, name])

        for number, (id, photo) in enumerate({**originals, **pieces}.items()):
            write(id, jpeg(photo, 95))
            if number < copied or id in pieces:
                for kind in KINDS:
                    write(f"{id}/{kind}", copy(photo, kind, random))


def pieces_of_real_photos() -> Iterable[tuple[str, Image.Image]]:
    for path in sorted((ROOT / "tests" / "photos").glob("*.[jp][pn]g")):
        whole = Image.open(path).convert("RGB")
        width, height = whole.width // 3, whole.height // 2
        for column in range(3):
            for row in range(2):
                box = (column * width, row * height, (column + 1) * width, (row + 1) * height)
                yield f"{path.stem}-{column}-{row}", whole.crop(box)


def copy(photo: Image.Image, kind: str, random: np.random.Generator) -> bytes:
    if kind == "recompressed":
        return jpeg(photo, int(random.integers(30, 60)))
    if kind == "half the size":
        photo = photo.resize((photo.width // 2, photo.height // 2), Image.Resampling.LANCZOS)
    elif kind == "brighter":
        photo = photo.point([round(value * 0.85 + 15) for value in range(256)] * len(photo.getbands()))
    else:
        share = 1 - int(kind.split()[1]) / 100
        size = round(photo.width * share), round(photo.height * share)
        left, top = (int(random.integers(0, whole - part + 1)) for whole, part in zip(photo.size, size, strict=True))
        photo = photo.crop((left, top, left + size[0], top + size[1]))
    return jpeg(photo, 85)


def jpeg(photo: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=quality)
    return file.getvalue()


def origins(group: Group) -> set[str]:
    return {member.id.partition("/")[0] for member in group.members}


def likeness(pair: Pair) -> float:
    return -1.0 if pair.likeness is None else pair.likeness


def table_row(name: str, products: list[str], pairs: Iterable[Pair]) -> str:
    """Precision over all pairs within a group; for each kind, the share of copies grouped with their original."""
    groups = groups_of(pairs)
    within = [(a.id, b.id) for group in groups for a, b in combinations(group.members, 2)]
    group_of = {member.id: place for place, group in enumerate(groups) for member in group.members}
    shares: list[float] = []
    precision: list[str] = []
    for source in ("", "fashion"):
        here = [(a, b) for a, b in within if (a.startswith("fashion") or b.startswith("fashion")) == bool(source)]
        right = sum(a.partition("/")[0] == b.partition("/")[0] for a, b in here)
        precision.append(f"{right / len(here):.3f} of {len(here):,}" if here else "none found")
        for kind in KINDS:
            copies = [id for id in products if id.endswith(f"/{kind}") and id.startswith("fashion") == bool(source)]
            found = sum(id in group_of and group_of[id] == group_of.get(id.partition("/")[0]) for id in copies)
            shares.append(found / len(copies))
    real, fashion = shares[: len(KINDS)], shares[len(KINDS) :]
    cells = [" · ".join(precision), *(f"{a:.2f} · {b:.2f}" for a, b in zip(real, fashion, strict=True))]
    return f"| {name} | {' | '.join(cells)} |"


def report(what: str, lines: list[str]) -> str:
    return "\n".join(
        [
            "# Duplicates: copies told from look-alikes",
            "",
            f"{what}; {describe()}.",
            "",
            "Pieces of real photos · Fashion-MNIST (28 × 28 pixels). Precision is the share of right pairs among all",
            "pairs within a group; then, by kind of copy, the share of copies that are in their original's group.",
            "",
            f"| judged by | precision | {' | '.join(KINDS)} |",
            "|---" * (len(KINDS) + 2) + "|",
            *lines,
            "",
            "`python benchmarks/duplicates.py` writes this page, and "
            "[a picture of the groups that are wrong](duplicates-wrong.png).",
            "",
        ]
    )


def _nothing(id: str, photo: str) -> bytes | None:
    return None


if __name__ == "__main__":
    main()
