"""A server to roll out: ``python rollout_server.py VERSION BEHAVIOUR``, on ``$PORT`` of ``$HOST`` or this machine.

Behaviours: ``good``; ``slow`` and ``failing``, for a third of the requests; ``crashing``, after some requests;
``wrong``, in what it answers. ``/metrics`` counts its answers in Prometheus' text format.
"""

import os
import random
import sys
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

VERSION, BEHAVIOUR = sys.argv[1:3]
CRASHES_AFTER = 20
requests = count(1)
answers: Counter[int] = Counter()


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        bad = self.path == "/answer" and random.random() < 1 / 3
        if self.path == "/answer" and BEHAVIOUR == "crashing" and next(requests) > CRASHES_AFTER:
            os._exit(3)
        if bad and BEHAVIOUR == "slow":
            time.sleep(0.3)
        status = 500 if bad and BEHAVIOUR == "failing" else 200
        body = ("boots" if BEHAVIOUR == "wrong" else "shoes").encode()
        if self.path == "/answer":
            answers[status] += 1
        elif self.path == "/metrics":
            body = "".join(f'answers_total{{code="{code}"}} {answers[code]}\n' for code in (200, 500)).encode()
        self.send_response(status)
        self.send_header("X-Version", VERSION)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """The proxy has a log."""


ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Answer).serve_forever()
