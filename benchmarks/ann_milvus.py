"""The index on a Milvus server, by consistency, beside the index in a directory and Milvus asked by pymilvus alone.

fashion-mnist-784 under squared Euclidean distance. An index in a directory is copied to the server once for each
consistency; then each is asked one query a call by one client, and by eight, all in turn. Recall is measured twice:
when the copy has just ended, and when the server has built its graph. The server is that of the package milvus,
started here, on the same machine. Writes docs/benchmarks/ann-milvus.md.

    python benchmarks/ann_milvus.py [--rows 20000] [--queries 500]
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np
from measuring.latency import timed, timed_together
from measuring.machine import describe
from measuring.milvus_server import milvus_server
from measuring.vector_sets import K, VectorSet, fashion

from lykeion.core import SILENT
from lykeion.search import copy
from lykeion.search.index import Index, open_index

ROOT = Path(__file__).parents[1]
CONSISTENCIES = ("strong", "session", "bounded")
CLIENTS = 8
WRITES = 20
GRAPH_S = 600

Search = Callable[[np.ndarray], Sequence[str]]
"""From one query to the ids of its answers."""


@click.command(help=__doc__)
@click.option("--rows", default=20_000, show_default=True)
@click.option("--queries", default=500, show_default=True)
@click.option("--out", default=ROOT / "docs" / "benchmarks", type=click.Path(path_type=Path))
def main(rows: int, queries: int, out: Path) -> None:
    load, data = os.getloadavg()[0], fashion(rows)
    asked = [query[None] for query in data.queries[:queries].astype(np.float32)]
    kth = data.kth_distances(None, queries)
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        local, seconds = written(data, Path(temporary) / "shop.index")
        server = stack.enter_context(milvus_server(Path(temporary) / "milvus"))
        figures: dict[str, dict[str, Any]] = {"directory": {"photos/s": rows / seconds}}
        opened: dict[str, Index] = {"directory": stack.enter_context(open_index(local))}
        for consistency in CONSISTENCIES:
            uri = f"milvus://{server}/{consistency}"
            asking = f"{uri}?consistency={consistency}"
            began = time.perf_counter()
            copy(local, asking, reporter=SILENT)
            figures[consistency] = {"photos/s": rows / (time.perf_counter() - began)}
            opened[consistency] = stack.enter_context(open_index(asking))
            answers = [searching(opened[consistency])(query) for query in asked]
            figures[consistency]["recall at once"] = recall(data, answers, kth)
            with open_index(asking, "w") as index:
                figures[consistency]["write"] = timed([*write_and_read(index, data)])
        version = opened["session"].stats().details["server"]
        searches = {name: searching(index) for name, index in opened.items()}
        searches["pymilvus alone"] = by_pymilvus(server, "session")
        figures["pymilvus alone"] = {}
        for consistency in CONSISTENCIES:
            wait_for_graph(server, consistency)
        for name, search in searches.items():
            figures[name] |= measured(search, asked)
            figures[name]["recall"] = recall(data, [search(query) for query in asked], kth)
            print(name, figures[name], flush=True)
    (out / "ann-milvus.md").write_text(page(figures, rows, queries, str(version), load))


def written(data: VectorSet, path: Path) -> tuple[Path, float]:
    """The rows in an index in a directory, and the seconds that took."""
    began = time.perf_counter()
    with open_index(path, "w", dimension=784, metric="l2", dtype="float32") as index:
        for start in range(0, len(data.rows), 4096):
            rows = data.rows[start : start + 4096].astype(np.float32)
            labels = [{"label": int(label)} for label in data.label[start : start + 4096]]
            index.upsert([str(start + n) for n in range(len(rows))], rows, labels)
        index.compact(full=True)
    return path, time.perf_counter() - began


def searching(index: Index) -> Search:
    return lambda query: [hit.id for hit in index.search(query, K, attributes=False)[0]]


def by_pymilvus(server: str, collection: str) -> Search:
    """The K nearest photos, without a wait for any write."""
    from pymilvus import MilvusClient

    client = MilvusClient(f"http://{server}")

    def search(query: np.ndarray) -> list[str]:
        (found,) = client.search(
            collection,
            data=list(query),
            anns_field="vector",
            limit=K,
            output_fields=["product"],
            search_params={"params": {"ef": 128}},
            consistency_level="Eventually",
        )
        return [hit["entity"]["product"] for hit in found]

    return search


def write_and_read(index: Index, data: VectorSet) -> Iterator[Callable[[], object]]:
    """One product's attributes, written and read by one process."""

    def once(n: int) -> object:
        index.update([str(n)], [{"label": int(data.label[n])}])
        return index.get([str(n)])

    for n in range(WRITES):
        yield lambda n=n: once(n)


def measured(search: Search, asked: Sequence[np.ndarray]) -> dict[str, Any]:
    for query in asked[:20]:
        search(query)
    clients = [[lambda query=query: search(query) for query in asked[n::CLIENTS]] for n in range(CLIENTS)]
    return {
        "one": timed([lambda query=query: search(query) for query in asked]),
        "eight": timed_together(clients),
    }


def recall(data: VectorSet, answers: Sequence[Sequence[str]], kth: np.ndarray) -> float:
    return data.recall([[int(id) for id in found] for found in answers], kth, None)


def wait_for_graph(server: str, collection: str) -> None:
    """Until the server has its graph over all rows, and searches by it: it looks for new ones every few seconds."""
    from pymilvus import MilvusClient

    client = MilvusClient(f"http://{server}")
    client.flush(collection)
    deadline = time.monotonic() + GRAPH_S
    while time.monotonic() < deadline:
        state = client.describe_index(collection, "vector")
        if state["state"] == "Finished" and not state["pending_index_rows"] and state["total_rows"]:
            break
        time.sleep(1)
    time.sleep(10)
    client.close()


def page(figures: dict[str, dict[str, Any]], rows: int, queries: int, version: str, load: float) -> str:
    columns = ["index", "photos/s written", "recall just written", "recall", "query, ms: p50", "p99"]
    columns += [f"queries/s, {CLIENTS} clients", "a write and a read of it, ms"]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for name, found in figures.items():
        one, eight, write = found["one"], found["eight"], found.get("write")
        cells = [
            name if name in ("directory", "pymilvus alone") else f"Milvus, `{name}`",
            f"{found['photos/s']:,.0f}" if "photos/s" in found else "",
            f"{found['recall at once']:.3f}" if "recall at once" in found else "",
            f"{found['recall']:.3f}",
            *(f"{one[key]:.1f}" for key in ("p50_ms", "p99_ms")),
            f"{eight['per_second']:,.0f}",
            f"{write['p50_ms']:.0f}" if write else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return f"""# The index on Milvus

{rows:,} rows of fashion-mnist-784, squared Euclidean distance, k = {K}, {queries:,} queries, one a call. Milvus
{version}, standalone, on the same machine as its clients: {describe()}, load average {load:.0f} from
other work.

{chr(10).join(lines)}

- `strong` was the only consistency until December 2026: each read waits for the server's next time tick, 200 ms
  apart. `session` is the default ([milvus.md](../milvus.md#consistency)).
- `directory` is the index in a directory, asked in process; it is also what is copied to Milvus.
- `pymilvus alone` asks the collection of `session` for the {K} nearest photos, with no wait, one answer a photo. Ours
  asks for twice as many, because a product may have several photos.
- "Just written" is before the server has built its graph. It then searches what is new by cells, not exactly.
"""


if __name__ == "__main__":
    main()
