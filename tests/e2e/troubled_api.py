"""A server before the API server of a test, which passes requests on and gives one kind of trouble.

A program: KUBECONFIG TROUBLE PORT. It speaks plain HTTP, as the user of the kubeconfig.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from .kubernetes_api import connection

TROUBLES = ("busy", "failing", "slow", "conflicts", "lost answers", "dropped watches", "forgetful watches")
WRITES = ("POST", "PUT", "PATCH", "DELETE")
LINES = 2
"""Of a watch, until it is dropped or forgotten."""


class TroubledApi:
    def __init__(self, kubeconfig: Path, trouble: str) -> None:
        address, context, headers = connection(kubeconfig)
        self.trouble, self.seen = trouble, Counter[str]()
        limits = httpx.Limits(max_connections=None)
        self.client = httpx.AsyncClient(
            base_url=address, verify=context, headers=headers, timeout=httpx.Timeout(30, read=None), limits=limits
        )

    async def answer(self, request: Request) -> Response:
        if request.query_params.get("watch"):
            return await self._watch(request)
        body, first = await request.body(), self._is_first(request)
        if first and self.trouble == "busy":
            return _status(429, "TooManyRequests", {"Retry-After": "0"})
        if first and self.trouble == "failing":
            return _status(500, "InternalError")
        if self.trouble == "slow":
            await asyncio.sleep(0.3)
        if first and self.trouble == "conflicts" and request.method in ("PUT", "PATCH"):
            return _status(409, "Conflict")
        passed = await self.client.request(
            request.method,
            str(request.url.path),
            params=str(request.query_params),
            content=body,
            headers={"content-type": request.headers.get("content-type", "application/json")},
        )
        if first and self.trouble == "lost answers" and request.method in WRITES:
            return _status(504, "Timeout")
        return Response(passed.content, passed.status_code, media_type="application/json")

    def _is_first(self, request: Request) -> bool:
        """Every other request of its kind, but never one for the Lease: losing it ends the operator."""
        if "/leases" in request.url.path:
            return False
        name = f"{request.method} {request.url.path}"
        self.seen[name] += 1
        return self.seen[name] % 2 == 1

    async def _watch(self, request: Request) -> Response:
        asked = self.client.build_request("GET", request.url.path, params=str(request.query_params))
        answer = await self.client.send(asked, stream=True)
        return StreamingResponse(self._lines(answer), answer.status_code, media_type="application/json")

    async def _lines(self, answer: httpx.Response) -> AsyncGenerator[bytes, None]:
        number = 0
        try:
            async for line in answer.aiter_lines():
                yield line.encode() + b"\n"
                number += 1
                if number == LINES and self.trouble == "dropped watches":
                    return
                if number == LINES and self.trouble == "forgetful watches":
                    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
                    yield json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n"
                    return
        finally:
            await answer.aclose()


def _status(code: int, reason: str, headers: Any = None) -> Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": f"{reason}, for the test"}
    return JSONResponse(body, code, headers)


def main() -> None:
    api = TroubledApi(Path(sys.argv[1]), sys.argv[2])
    methods = ["GET", *WRITES]
    app = Starlette(routes=[Route("/{path:path}", api.answer, methods=methods)])
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[3]), log_level="warning")


if __name__ == "__main__":
    main()
