"""A model's bare engine in a loop, or clients of its server: ``python -m measuring.model_server_job JSON``.

{"model", "engine", "threads", "lanes", "rows", "seconds"}: so many engines, each in a thread of its own, run batches
of noise over and over. {"address", "name", "clients", "rows", "seconds"}: so many clients, each with one connection,
send rows as binary data over and over and read the answer's binary data.
"""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np

from lykeion.engines.running import encoded, find_kind, noise
from measuring.latency import percentiles

WARM_UP_S = 0.5


def bare(job: dict[str, Any]) -> dict[str, float]:
    content, kind = Path(job["model"]).read_bytes(), find_kind(job["engine"])
    engines = [kind.load(content, threads=job["threads"]) for _ in range(job["lanes"])]
    values = encoded(engines[0].inputs, noise(engines[0].inputs, job["rows"]))
    return together([lambda engine=engine: engine.run(*values) for engine in engines], job)


def clients(job: dict[str, Any]) -> dict[str, float]:
    path = f"/v2/models/{job['name']}"
    (given,) = json.loads(urlopen(f"http://{job['address']}{path}").read())["inputs"]
    x = np.random.default_rng(0).uniform(-1, 1, (job["rows"], *given["shape"][1:])).astype(np.float32)
    tensor = {**given, "shape": list(x.shape), "parameters": {"binary_data_size": x.nbytes}}
    text = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}

    def client() -> Callable[[], None]:
        connection = HTTPConnection(job["address"], timeout=60)

        body = text + x.tobytes()

        def ask() -> None:
            connection.request("POST", f"{path}/infer", body, headers)
            response = connection.getresponse()
            answer = response.read()
            if response.status != 200:
                raise RuntimeError(f"the server answered {response.status}: {answer[:200]!r}")

        return ask

    return together([client() for _ in range(job["clients"])], job)


def together(calls: list[Callable[[], Any]], job: dict[str, Any]) -> dict[str, float]:
    """Each call over and over in a thread of its own: latencies, and rows a second."""
    begins = time.perf_counter() + WARM_UP_S
    ends = begins + job["seconds"]

    def repeat(call: Callable[[], Any]) -> list[float]:
        taken = []
        while (started := time.perf_counter()) < ends:
            call()
            if started >= begins:
                taken.append(time.perf_counter() - started)
        return taken

    with ThreadPoolExecutor(len(calls)) as pool:
        found = percentiles([second for mine in pool.map(repeat, calls) for second in mine], job["seconds"])
    return {**found, "per_second": found["per_second"] * job["rows"]}


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    print(json.dumps(bare(job) if "model" in job else clients(job)))
