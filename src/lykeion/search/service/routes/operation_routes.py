"""Routes for operators of the service: stats, health, readiness, metrics."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from lykeion.search.service.catalogue import Catalogue
from lykeion.search.service.served_catalogue import CatalogueCalls, ServedCatalogue
from lykeion.search.service.shapes import Health, IndexHealth, StatsAnswer
from lykeion.web_kit import Metrics, StrictRoute, Workers, add_metrics_route, documented


def operation_routes(calls: CatalogueCalls, workers: Workers, metrics: Metrics) -> APIRouter:
    routes = APIRouter(tags=["operation"])

    async def stats() -> JSONResponse:
        return JSONResponse(await calls.run(Catalogue.stats) | {"since": _since(calls.served)})

    routes.add_api_route(
        "/v1/stats",
        stats,
        summary="Figures of the index",
        response_model=StatsAnswer,
        responses=documented(),
        route_class_override=StrictRoute,  # the others are for probes, which may add any parameters
    )

    @routes.get(
        "/healthz",
        summary="Whether the process answers, and which index it serves",
        response_model=IndexHealth,
        responses=documented(),
    )
    async def healthz() -> JSONResponse:
        served = calls.served
        health = {"status": "ok", "index": served.id, "since": _since(served), "problem": served.problem or None}
        return JSONResponse(health)

    @routes.get(
        "/readyz",
        summary="Whether searches can be answered",
        description="503 says why not: busy, or the index was replaced by one of another embedder.",
        response_model=Health,
        responses=documented(),
    )
    async def readyz() -> JSONResponse:
        await calls.run(Catalogue.check)
        return JSONResponse({"status": "ready"})

    add_metrics_route(routes, metrics, workers)
    return routes


def _since(served: ServedCatalogue) -> str:
    return served.since.isoformat(timespec="seconds")
