"""``small_server.py PORT NAME``: answers its name; what a test asks of it lies in the working directory.

``/pid`` answers its process ID, ``/slow`` waits for the file ``go``, ``/ready`` fails while ``unready`` is there, and
``/hang`` makes the server accept connections without an answer, until it ends.
"""

import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

hung = False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        global hung
        hung = hung or self.path == "/hang"
        while hung:
            time.sleep(60)
        status, body = 200, sys.argv[2]
        if self.path == "/ready":
            status = 503 if Path("unready").exists() else 200
        elif self.path == "/absent":
            status = 404
        elif self.path == "/pid":
            body = str(os.getpid())
        elif self.path == "/slow":
            body = "slow"
            Path(f"slow-{time.monotonic_ns()}").touch()
            while not Path("go").exists():
                time.sleep(0.02)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    print("listening", flush=True)
    server.serve_forever()
