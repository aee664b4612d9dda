"""What the apps of all services have in common."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST

from lykeion import __version__

from .errors import documented
from .metrics import Metrics
from .workers import Workers


def service_app(title: str, description: str, workers: Workers) -> FastAPI:
    """An app without routes, which closes ``workers`` when it shuts down."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        workers.close()

    return FastAPI(
        title=title,
        version=__version__,
        description=description,
        docs_url=None,  # it would load scripts from another host
        redoc_url=None,
        lifespan=life,
    )


def add_metrics_route(routes: APIRouter, metrics: Metrics, workers: Workers) -> None:
    """``/metrics``; collecting runs in a worker, since collectors may read files."""

    @routes.get(
        "/metrics",
        summary="Prometheus metrics",
        response_class=Response,
        responses={**documented(), 200: {"content": {"text/plain": {}}}},
    )
    async def measurements() -> Response:
        return Response(await workers.run(metrics.text), headers={"Content-Type": CONTENT_TYPE_LATEST})
