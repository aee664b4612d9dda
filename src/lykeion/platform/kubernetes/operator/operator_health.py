"""The operator's HTTP server: /metrics, and whether it lives and is ready, for the kubelet."""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lykeion.platform.kubernetes.api import WatchAges
from lykeion.web_kit import ServerSettings

SETTINGS = ServerSettings(open_address=True, timeout_s=5.0)
"""Whoever reaches the port may read: a network policy says who does."""
LIMIT_AGE_S = 600.0
"""A watch that has heard nothing for so long does not come back by itself: the process begins again."""


def health_app(metrics: Callable[[], bytes], ages: WatchAges, unready: Callable[[], str]) -> Starlette:
    """``unready`` says why the process is not ready, or nothing."""

    def healthz(request: Request) -> Response:
        late = [f"{name}: {age:.0f} s" for name, age in ages.ages_s().items() if age > LIMIT_AGE_S]
        return PlainTextResponse("\n".join(late) or "ok", 503 if late else 200)

    def readyz(request: Request) -> Response:
        why = unready()
        return PlainTextResponse(why or "ok", 503 if why else 200)

    def measurements(request: Request) -> Response:
        return Response(metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    routes = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", measurements)]
    return Starlette(routes=routes)
