"""Photos answered in this process by several threads: ``python -m measuring.photos_job JSON`` with {"index",
"photos", "threads", "requests"}; prints seconds by the clock and of the processor, for each photo."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lykeion.search import Embedder
from lykeion.search.index import open_index
from measuring.query_job import K


def main() -> None:
    job = json.loads(sys.argv[1])
    embedder, index = Embedder.load(), open_index(job["index"])
    photos = [path.read_bytes() for path in sorted(Path(job["photos"]).glob("*.jpg"))]

    def answer(number: int) -> None:
        index.search(embedder.embed_photo(photos[number % len(photos)]).vector[None], K + 1)

    with ThreadPoolExecutor(job["threads"]) as pool:
        list(pool.map(answer, range(4 * job["threads"])))
        clock, processor = time.perf_counter(), time.process_time()
        list(pool.map(answer, range(job["requests"])))
        took = time.perf_counter() - clock, time.process_time() - processor
    clock, processor = (seconds / job["requests"] for seconds in took)
    print(json.dumps({"clock": clock, "processor": processor}), flush=True)


if __name__ == "__main__":
    main()
