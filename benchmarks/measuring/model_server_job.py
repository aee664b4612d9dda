"""Turns of a model's bare engine, and of clients of its server: ``python -m measuring.model_server_job JSON``.

{"model", "engine", "threads", "lanes", "batch"}: so many engines, each in a thread of its own, run batches of noise
over and over. {"address", "name", "clients", "rows"}: so many clients, each with one connection, send rows as binary
data over and over and read the answer's. {"turns", "seconds"}: how many of each, and how long each is;
{"pid"} is the server's process.
"""

import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np

from lykeion.engines.running import encoded, find_kind, noise
from measuring.latency import percentiles

LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)\r\n")
Call = Callable[[], object]


def turns(job: dict[str, Any]) -> list[tuple[dict[str, float], dict[str, float]]]:
    """Of each turn what the bare engines did, and the server."""
    bare, served = engines(job), clients(job)

    def both_s() -> float:
        return time.process_time() + cpu_s(job["pid"])

    return [
        (
            together(bare, job["batch"], job["seconds"], time.process_time),
            together(served, job["rows"], job["seconds"], both_s),
        )
        for _ in range(job["turns"])
    ]


def cpu_s(pid: int) -> float:
    """The processor time that a process has taken (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def engines(job: dict[str, Any]) -> list[Call]:
    content, kind = Path(job["model"]).read_bytes(), find_kind(job["engine"])
    loaded = [kind.load(content, threads=job["threads"]) for _ in range(job["lanes"])]
    values = encoded(loaded[0].inputs, noise(loaded[0].inputs, job["batch"]))
    return [lambda engine=engine: engine.run(*values) for engine in loaded]


def clients(job: dict[str, Any]) -> list[Call]:
    path = f"/v2/models/{job['name']}"
    (given,) = json.loads(urlopen(f"http://{job['address']}{path}").read())["inputs"]
    x = np.random.default_rng(0).uniform(-1, 1, (job["rows"], *given["shape"][1:])).astype(np.float32)
    tensor = {**given, "shape": list(x.shape), "parameters": {"binary_data_size": x.nbytes}}
    text = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    head = f"POST {path}/infer HTTP/1.1\r\nHost: {job['address']}\r\nInference-Header-Content-Length: {len(text)}\r\n"
    request = f"{head}Content-Length: {len(text) + x.nbytes}\r\n\r\n".encode() + text + x.tobytes()
    host, port = job["address"].split(":")
    return [client(socket.create_connection((host, int(port)), 60), request) for _ in range(job["clients"])]


def client(connection: socket.socket, request: bytes) -> Call:
    """Sends a prepared request and reads the answer, without the time that an HTTP library takes. Raises RuntimeError
    unless it is 200."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask() -> None:
        connection.sendall(request)
        answer = connection.recv(1 << 16)
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += connection.recv(1 << 16)
        length = LENGTH.search(answer, 0, end + 2)
        left = end + 4 + int(length[1]) - len(answer) if length else 0
        while left > 0:
            left -= len(connection.recv(1 << 16))
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"the server answered {answer[:200]!r}")

    return ask


def together(calls: Sequence[Call], rows: int, seconds: float, cpu_s: Callable[[], float]) -> dict[str, float]:
    """Each call over and over in a thread of its own: latencies, rows a second, and processor time a row."""
    before, begins = cpu_s(), time.perf_counter()

    def repeat(call: Call) -> list[float]:
        taken: list[float] = []
        while (started := time.perf_counter()) < begins + seconds or not taken:
            call()
            taken.append(time.perf_counter() - started)
        return taken

    with ThreadPoolExecutor(len(calls)) as pool:
        taken = [second for mine in pool.map(repeat, calls) for second in mine]
    found = percentiles(taken, time.perf_counter() - begins)
    used_ms = 1e3 * (cpu_s() - before) / (len(taken) * rows)
    return {**found, "per_second": found["per_second"] * rows, "cpu_ms": used_ms}


if __name__ == "__main__":
    print(json.dumps(turns(json.loads(sys.argv[1]))))
