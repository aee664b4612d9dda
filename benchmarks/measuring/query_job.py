"""Photos answered in this process: ``python -m measuring.query_job JSON`` with {"index", "photos", "requests",
"compacting"}; or a compaction that does not end: {"index", "compact": true}."""

import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from lykeion.search import Embedder
from lykeion.search.index import LocalIndex, lower_priority, open_index
from lykeion.vision import decode
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
    parts = photo_parts(embedder, index, paths)
    asked = itertools.islice(itertools.cycle(paths), job["requests"])
    searched = itertools.islice(itertools.cycle(vectors), job["requests"])
    return {
        **timed([partial(answer, path) for path in asked]),
        "search": timed([partial(index.search, vector, K) for vector in searched]),
        "parts": parts,
        "recall": recall(answers, np.load(job["truth"])),
    }


def photo_parts(embedder: Embedder, index: LocalIndex, paths: Sequence[Path]) -> dict[str, float]:
    """Milliseconds of processor time of each step from a photo's bytes to its answers, on average over the photos."""
    card = embedder.card
    spent: dict[str, float] = dict.fromkeys(("decode", "scale", "embed", "search"), 0.0)
    for photo in [path.read_bytes() for path in paths]:
        marks = [time.process_time()]
        decoded = decode(photo, at_least=card.at_least)
        marks.append(time.process_time())
        pixels = decoded.pixels(card)
        marks.append(time.process_time())
        vectors = embedder.embed(pixels[np.newaxis])
        marks.append(time.process_time())
        index.search(vectors, K)
        marks.append(time.process_time())
        for part, (begun, ended) in zip(spent, itertools.pairwise(marks), strict=True):
            spent[part] += 1e3 * (ended - begun) / len(paths)
    return spent


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
