"""One query of a new process, step by step: ``python -m measuring.cold_job JSON`` with {"index", "photo", "began"},
the last a reading of the monotonic clock."""

import time

_CLOCK = time.CLOCK_MONOTONIC
_started = time.clock_gettime(_CLOCK), time.process_time()

import json  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402


def main() -> None:
    job = json.loads(sys.argv[1])
    marks = [("Python", *_started)]

    def mark(name: str) -> None:
        marks.append((name, time.clock_gettime(_CLOCK), time.process_time()))

    import lykeion.cli.index
    import lykeion.search.products

    mark("imports: commands and index")
    from lykeion.search.embedder import Embedder

    mark("imports: network")
    with lykeion.search.products.opened(job["index"]) as index:
        mark("open the index")
        embedder = Embedder.load()
        mark("load the network")
        vector = embedder.embed_photo(Path(job["photo"])).vector
        mark("first vector, with the decoder's import")
        index.search(vector[None], 10)
        mark("first answer")
    began, used, steps = job["began"], 0.0, {}
    for name, clock, processor in marks:
        steps[name] = (clock - began, processor - used)
        began, used = clock, processor
    print(json.dumps(steps), flush=True)


if __name__ == "__main__":
    main()
