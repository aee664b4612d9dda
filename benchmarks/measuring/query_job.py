"""Photos answered in this process: ``python -m measuring.query_job JSON`` with {"index", "photos", "requests",
"compacting"}; or a compaction that does not end: {"index", "compact": true}."""

import itertools
import json
import os
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from lykeion.search import Embedder
from lykeion.search.index import LocalIndex, lower_priority, open_index
from measuring.latency import timed
from measuring.nearest import recall

K = 10


def answer_photos(job: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds from a photo's file to its answers, those of the search alone, and recall@10."""
    embedder = Embedder.load()
    index = cast(LocalIndex, open_index(job["index"], "shared", background=False))
    if job["compacting"]:
        threading.Thread(target=rebuild_forever, args=(index,), daemon=True).start()
    paths = sorted(Path(job["photos"]).glob("*.jpg"))
    vectors = [embedder.embed_photo(path).vector[np.newaxis] for path in paths]

    def answer(path: Path) -> Any:
        return index.search(embedder.embed_photo(path).vector[np.newaxis], K)

    answers = [[int(hit.id) for hit in index.search(vector, K)[0]] for vector in vectors]  # warms up, too
    asked = itertools.islice(itertools.cycle(paths), job["requests"])
    searched = itertools.islice(itertools.cycle(vectors), job["requests"])
    return {
        **timed([partial(answer, path) for path in asked]),
        "search": timed([partial(index.search, vector, K) for vector in searched]),
        "recall": recall(answers, np.load(job["truth"])),
    }


def rebuild_forever(index: LocalIndex) -> None:
    """What compaction does, over and over: every segment is read, coded and rewritten."""
    lower_priority()
    while True:
        index.rebuild()


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    if job.get("compact"):
        rebuild_forever(cast(LocalIndex, open_index(job["index"], "shared", background=False)))
    print(json.dumps(answer_photos(job)), flush=True)
    os._exit(0)  # a rebuild under way is abandoned, as by a kill
