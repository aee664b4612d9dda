"""One engine's turn, in a process of its own: ``python -m measuring.ann_job JSON``.

A job is {"engine", "task": "build" | "search", "data", "rows", "queries", "filtered_queries", "work"}; the result is
printed.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from engines import Engine, engine

from measuring.machine import Memory, PeakHeap, keep_to_one_core, size_on_disk
from measuring.vector_sets import SCENARIOS, VECTOR_SETS, K, VectorSet, load_kth

_WARM_UP = 200
_ENOUGH = 0.9995
"""The recall at which no setting of more effort is asked."""


def build(job: dict[str, Any]) -> dict[str, Any]:
    """Seconds on all cores, the most heap it took beyond the data, and bytes on disk."""
    data, made = VECTOR_SETS[job["data"]](job["rows"]), engine(job["engine"])
    before = Memory.now().heap
    wall, cpu = time.perf_counter(), time.process_time()
    with PeakHeap() as peak:
        made.build(data, Path(job["directory"]))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    size = size_on_disk(Path(job["directory"]))
    return {"wall": wall, "cpu": cpu, "peak_bytes": peak.bytes - before, "disk_bytes": size}


def search(job: dict[str, Any]) -> dict[str, Any]:
    """Seconds a query and recall of each setting, without a filter and with each; and memory when all was asked."""
    keep_to_one_core()
    data, opened = VECTOR_SETS[job["data"]](job["rows"]), engine(job["engine"])
    count = min(job["queries"], opened.query_limit, len(data.queries))
    queries = [opened.prepare(query) for query in data.queries[:count].astype(np.float32)]
    before = Memory.now()
    opened.open(data, Path(job["directory"]))
    answers = _timed(opened, opened.settings[0], queries[:_WARM_UP], [None] * _WARM_UP)[1]
    memory = Memory.now() - before
    del answers
    work = Path(job["work"])
    result: dict[str, Any] = {"heap_bytes": memory.heap, "mapped_bytes": memory.mapped, "settings": {}}
    kth = load_kth(data, None, count, work)
    for setting in opened.settings:
        seconds, answers = _timed(opened, setting, queries, [None] * count)
        recall = data.recall(answers, kth, None)
        result["settings"][json.dumps(setting)] = {**seconds, "recall": recall}
        if recall >= _ENOUGH:
            break
    result["filters"] = dict(_filtered(opened, data, queries, job))
    return result


def _filtered(opened: Engine, data: VectorSet, queries: list[Any], job: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    count = min(job["filtered_queries"], len(queries))
    for scenario, filter_for in SCENARIOS.items() if data.filtered and opened.filtered else ():
        filters = [opened.prepare_filter(filter_for(label)) for label in range(10)]
        asked = [filters[label] for label in data.query_label[:count]]
        kth = load_kth(data, scenario, count, Path(job["work"]))
        figures = {}
        for setting in opened.filtered:
            seconds, answers = _timed(opened, setting, queries[:count], asked)
            figures[json.dumps(setting)] = {**seconds, "recall": data.recall(answers, kth, scenario)}
        yield scenario, figures


def _timed(
    opened: Engine, setting: dict[str, Any], queries: list[Any], filters: list[Any]
) -> tuple[dict[str, float], list[list[int]]]:
    """Seconds a query, by the wall clock and by the processor's, and the row numbers of each answer."""
    one = opened.search(setting, K)
    for query, filter in zip(queries[:_WARM_UP], filters[:_WARM_UP], strict=True):
        one(query, filter)
    wall, cpu = time.perf_counter(), time.process_time()
    answers = [one(query, filter) for query, filter in zip(queries, filters, strict=True)]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall": wall / len(queries), "cpu": cpu / len(queries)}, [opened.ids(answer) for answer in answers]


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    try:
        print(json.dumps({"build": build, "search": search}[job["task"]](job)))
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
