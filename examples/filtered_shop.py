"""A shop with prices: products with several photos from a manifest, filtered queries, and changes while it is open.

python examples/filtered_shop.py PHOTOS

Manifest and index are written to a temporary folder, which is removed at the end; PHOTOS is only read.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from lykeion import search
from lykeion.search.ingest import open_source


def main(folder: Path, work: Path) -> None:
    photos = sorted(path.name for path in folder.iterdir() if path.suffix in (".jpg", ".png"))

    # One photo a row; rows of one id are photos of one product. Here each product has two.
    manifest = work / "shop.jsonl"
    with manifest.open("w") as file:
        for number, name in enumerate(photos):
            product = number // 2
            tags = ["new", f"shelf {product}"]
            row = {"id": f"P{product}", "path": name, "price": 1000 * (product + 1), "tags": tags}
            file.write(json.dumps(row) + "\n")

    shop = work / "shop.index"
    print(search.add(open_source(manifest, root=folder), shop).summary())

    # Embedder and index are loaded once and asked many times.
    embedder = search.Embedder.load()
    with search.open_index(shop, "shared") as index:

        def show(title: str, **options: object) -> None:
            [answer] = search.query(index, folder / photos[0], embedder=embedder, **options)  # pyright: ignore[reportArgumentType]
            print(title, [(hit.id, round(hit.score, 2), hit.attributes["price"]) for hit in answer.results])

        show("nearest:", k=3)
        show("cheap:", where="price < 2000")
        show("by tag:", where='tags contains "shelf 1"')
        show("by a part of the photo:", box="50,50,250,250", k=1)

        index.update(["P0"], [{"price": 9000}])  # on disk when it returns; other processes see it within 1 s
        show("cheap, after a change of price:", where="price < 2000")


with TemporaryDirectory() as work:
    main(Path(sys.argv[1]), Path(work))
