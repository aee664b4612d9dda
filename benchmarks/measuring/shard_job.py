"""One stage of benchmarks/shard.py in a process of its own: ``python -m measuring.shard_job JSON``."""

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, cast

import faiss
import numpy as np

from lykeion.search.index import Effort, LocalIndex, open_index
from measuring.clustered import DIMENSION, Clustered
from measuring.latency import timed
from measuring.machine import Memory, PeakHeap
from measuring.nearest import Nearest, recall

K = 10
QUERIES = 1_000
TRUE_QUERIES = 200
"""Of the queries, so many have exact answers to compare with."""
EFFORTS = tuple(
    Effort(ef=128, rerank=rerank, scan=scan)
    for scan, rerank in (
        (2, 100),
        (4, 100),
        (8, 100),
        (16, 100),
        (32, 100),
        (64, 100),
        (96, 100),
        (128, 100),
        (192, 100),
        (256, 100),
        (384, 200),
    )
)
PROBES = (8, 16, 32, 64, 128)
CODE_BYTES = 64
_CODEWORDS = 256
_TRAIN_PER_CELL = 64


def truth(job: dict[str, Any]) -> dict[str, Any]:
    vectors = Clustered(job["items"])
    nearest = Nearest(vectors.queries(QUERIES)[:TRUE_QUERIES], K)
    for start, chunk in vectors.chunks():
        nearest.offer(start, chunk)
    np.save(Path(job["work"]) / "truth.npy", nearest.rows)
    return {}


def load(job: dict[str, Any]) -> dict[str, Any]:
    """Upsert the rows from ``first`` to ``end`` in one call."""
    parts = [chunk for _, chunk in Clustered(job["items"]).chunks(job["first"], job["end"])]
    vectors = np.concatenate(parts)
    del parts
    ids = [str(row) for row in range(job["first"], job["end"])]
    with _ours(job, "w") as index:
        return _watched(lambda: index.upsert(ids, vectors))


def compact(job: dict[str, Any]) -> dict[str, Any]:
    with _ours(job, "w") as index:
        return _watched(lambda: index.compact(full=True))


def search(job: dict[str, Any]) -> dict[str, Any]:
    """Each effort once to warm up and once measured; the memory is that of the process after the last."""
    queries, exact = Clustered(job["items"]).queries(QUERIES), np.load(Path(job["work"]) / "truth.npy")
    faiss.omp_set_num_threads(1)
    before = Memory.now()
    with _ours(job, "r") as index:
        result: dict[str, Any] = {"settings": {}}
        for effort in EFFORTS:
            calls = [partial(index.search, query, K, attributes=False, effort=effort) for query in queries[:, None]]
            answers = [[int(hit.id) for hit in call()[0]] for call in calls]
            name = f"scan {effort.scan:g}, rerank {effort.rerank}"
            result["settings"][name] = {**timed(calls), "recall": recall(answers[:TRUE_QUERIES], exact)}
        memory = Memory.now() - before
        stats = index.stats()
        files: dict[str, int] = {}
        for path in (index.path / "segments").rglob("*"):
            if path.is_file():
                files[path.name] = files.get(path.name, 0) + path.stat().st_size
    return {
        **result,
        "heap_bytes": memory.heap,
        "mapped_bytes": memory.mapped,
        "details": stats.details,
        "files": files,
    }


def build_peer(job: dict[str, Any]) -> dict[str, Any]:
    """The original's configuration in Faiss."""

    vectors = Clustered(job["items"])

    def train_and_add() -> None:
        index = faiss.IndexIVFPQ(faiss.IndexFlatL2(DIMENSION), DIMENSION, job["cells"], CODE_BYTES, 8)
        index.cp.max_points_per_centroid = _TRAIN_PER_CELL
        wanted = min(job["items"], max(job["cells"], _CODEWORDS) * _TRAIN_PER_CELL)
        index.train(np.concatenate([chunk for _, chunk in vectors.chunks(end=wanted)]))
        for _, chunk in vectors.chunks():
            index.add(chunk)
        faiss.write_index(index, str(Path(job["work"]) / "peer.faiss"))

    return _watched(train_and_add)


def search_peer(job: dict[str, Any]) -> dict[str, Any]:
    queries, exact = Clustered(job["items"]).queries(QUERIES), np.load(Path(job["work"]) / "truth.npy")
    faiss.omp_set_num_threads(1)
    before = Memory.now()
    index = cast(Any, faiss.read_index(str(Path(job["work"]) / "peer.faiss")))
    result: dict[str, Any] = {"settings": {}}
    for probes in PROBES:
        index.nprobe = probes
        calls = [partial(index.search, query, K) for query in queries[:, None]]
        answers = [call()[1][0].tolist() for call in calls]
        result["settings"][f"{probes} probed"] = {**timed(calls), "recall": recall(answers[:TRUE_QUERIES], exact)}
    memory = Memory.now() - before
    size = (Path(job["work"]) / "peer.faiss").stat().st_size
    return {**result, "heap_bytes": memory.heap, "mapped_bytes": memory.mapped, "files": {"peer.faiss": size}}


def _ours(job: dict[str, Any], mode: str) -> LocalIndex:
    path = Path(job["work"]) / "shard.index"
    return cast(LocalIndex, open_index(path, mode, dimension=DIMENSION, background=False))  # pyright: ignore


def _watched(act: Any) -> dict[str, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    with PeakHeap() as peak:
        act()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "peak_heap_bytes": peak.bytes}


STAGES = {
    "truth": truth,
    "load": load,
    "compact": compact,
    "search": search,
    "build peer": build_peer,
    "search peer": search_peer,
}

if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    print(json.dumps(STAGES[job["stage"]](job)))
