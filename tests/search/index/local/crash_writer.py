"""A process that writes to an index until it is killed, and tells what it begins and what was acknowledged.

What it writes follows from ids and versions alone (``vector_of``, ``attributes_of``), so that who reads the reports
knows what the index must hold.
"""

import json
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from lykeion.search.index import LocalIndex

from .indexes import open_local

DIMENSION = 12
IDS_OF_A_THREAD = 60
SEAL_ROWS = 40

Kind = Literal["upsert", "update", "delete", "snapshot", "restore", "compact", "retype"]
Role = Literal["one thread", "several threads", "compaction", "snapshots", "columns"]


class Act(NamedTuple):
    """Something a thread does: to these ids, giving them this version.

    ``name`` is a snapshot's, or the type that the column ``even`` is given.
    """

    thread: int
    kind: Kind
    ids: list[str]
    version: int
    name: str = ""


def vector_of(id: str, version: int) -> np.ndarray:
    """float32 (DIMENSION,), of length 1."""
    seed = [int.from_bytes(id.encode(), "little"), version]
    vector = np.random.default_rng(seed).normal(size=DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def attributes_of(version: int) -> dict[str, Any]:
    return {"version": version, "tags": [f"v{version}"], "even": version % 2 == 0}


def even_of(index: LocalIndex) -> str:
    """The type of the column ``even``; "" before the first product."""
    return index.stats().columns.get("even", "")


def open_writer(path: Path, **options: Any) -> LocalIndex:
    return open_local(path, dimension=DIMENSION, kernel="ivf", seal_rows=SEAL_ROWS, **options)


def write_until_killed(path: Path, role: Role, seed: int, first_version: int, reports: Connection) -> None:
    index = open_writer(path)
    telling = threading.Lock()

    def tell(word: str, act: Act) -> None:
        with telling:
            reports.send_bytes(json.dumps([word, *act]).encode())

    def work(thread: int) -> None:
        generator = np.random.default_rng([seed, thread])
        version = first_version
        while True:
            version += 1
            act = _next_act(generator, role, thread, version)
            tell("begin", act)
            _do(index, act)
            tell("done", act)

    threads = {"one thread": 1, "several threads": 4, "compaction": 3, "snapshots": 1, "columns": 1}[role]
    for thread in range(1, threads):
        threading.Thread(target=work, args=(thread,), daemon=True).start()
    work(0)


def _next_act(generator: np.random.Generator, role: Role, thread: int, version: int) -> Act:
    if role == "compaction" and thread == 0:
        return Act(thread, "compact", [], version)
    kinds: list[Kind] = ["upsert", "upsert", "update", "delete"]
    if role == "snapshots":
        kinds += ("snapshot", "restore")
    if role == "columns":
        kinds += ("retype",) * 6  # of which half find the type that they give
    kind = kinds[generator.integers(len(kinds))]
    bulk = generator.random() < 0.1
    count = IDS_OF_A_THREAD if bulk else int(generator.integers(1, 12))
    numbers = generator.choice(IDS_OF_A_THREAD, count, replace=False)
    ids = [] if kind in ("snapshot", "restore", "retype") else [f"{thread}/{number}" for number in numbers]
    name = generator.choice(["boolean", "string"]) if kind == "retype" else f"kept {generator.integers(3)}"
    return Act(thread, kind, ids, version, str(name))


def _do(index: LocalIndex, act: Act) -> None:
    match act.kind:
        case "upsert":
            vectors = np.array([vector_of(id, act.version) for id in act.ids])
            attributes = attributes_of(act.version)
            if even_of(index) == "string":
                attributes["even"] = str(attributes["even"]).lower()
            index.upsert(act.ids, vectors, [attributes] * len(act.ids))
        case "update":
            index.update(act.ids, [{"sold": act.version}] * len(act.ids))
        case "delete":
            index.delete(act.ids)
        case "snapshot":
            index.snapshot(act.name)
        case "restore":
            if act.name in index.stats().details["snapshots"]:  # pyright: ignore[reportOperatorIssue]
                index.restore(act.name)
        case "retype":
            if even_of(index):
                index.retype_column("even", act.name)  # pyright: ignore[reportArgumentType]
        case "compact":
            index.compact(full=act.version % 2 == 0)
            time.sleep(0.01)
