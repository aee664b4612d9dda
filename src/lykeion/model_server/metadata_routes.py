"""What is served, whether it is ready, and measurements."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from lykeion import __version__
from lykeion.web_kit import Metrics, Workers, documented

from .errors import UnknownModel
from .served_model import ServedModel

SERVER = {
    "name": "lykeion",
    "version": __version__,
    "extensions": ["binary_tensor_data", "classification", "parameters"],
}


def is_served(model: ServedModel) -> Callable[[Request], Awaitable[None]]:
    """A dependency of routes. It raises UnknownModel if the path names another model or version."""

    async def check(request: Request) -> None:  # FastAPI runs what is not async in a thread
        name, version = request.path_params["name"], request.path_params.get("version", model.version)
        if name != model.name:
            raise UnknownModel(f"no model {name[:64]!r} is served; there is {model.name}")
        if version != model.version:
            raise UnknownModel(f"no version {version[:80]!r} of {model.name} is served; there is {model.version}")

    return check


def metadata_routes(model: ServedModel) -> APIRouter:
    routes = APIRouter(prefix="/v2", tags=["metadata"])
    one = APIRouter(prefix="/models/{name}", dependencies=[Depends(is_served(model))])

    @routes.get("", summary="The server", responses=documented())
    async def server() -> JSONResponse:
        return JSONResponse(SERVER)

    @one.get("", summary="The model", responses=documented(404))
    @one.get("/versions/{version}", summary="The model", responses=documented(404))
    async def metadata() -> JSONResponse:
        return JSONResponse(model.metadata)

    @one.get("/ready", summary="Whether the model is ready", responses=documented(404))
    @one.get("/versions/{version}/ready", summary="Whether the model is ready", responses=documented(404))
    async def model_ready() -> JSONResponse:
        return JSONResponse({"name": model.name, "ready": True})

    routes.include_router(one)
    return routes


def health_routes(metrics: Metrics, workers: Workers) -> APIRouter:
    """A server accepts connections once its model is loaded, and none after it was told to stop: where these answer,
    it is live and ready."""
    routes = APIRouter(tags=["operation"])

    @routes.get("/v2/health/live", summary="Whether the process answers", responses=documented())
    @routes.get("/healthz", summary="Whether the process answers", responses=documented())
    async def live() -> JSONResponse:
        return JSONResponse({"live": True})

    @routes.get("/v2/health/ready", summary="Whether requests are answered", responses=documented())
    @routes.get("/readyz", summary="Whether requests are answered", responses=documented())
    async def ready() -> JSONResponse:
        return JSONResponse({"live": True, "ready": True})  # the specification says live; clients read ready

    @routes.get(
        "/metrics",
        summary="Prometheus metrics",
        response_class=Response,
        responses={**documented(), 200: {"content": {"text/plain": {}}}},
    )
    async def measurements() -> Response:
        return Response(await workers.run(metrics.text), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return routes
