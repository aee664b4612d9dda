"""What is served, whether it is ready, and measurements."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from lykeion import __version__
from lykeion.web_kit import Metrics, Workers, add_metrics_route, documented

from .errors import UnknownModel
from .served_model import ServedModel

SERVER = {
    "name": "lykeion",
    "version": __version__,
    "extensions": ["binary_tensor_data", "classification", "parameters"],
}


def model_paths(model: ServedModel) -> list[tuple[str, list[Any]]]:
    """The paths below which a model is found, by its name and also by its version, each with the dependencies of its
    routes, which raise UnknownModel."""

    def only(value: str) -> Any:
        return Path(json_schema_extra={"enum": [value]})

    # FastAPI would run what is not async in a thread.
    async def named(name: Annotated[str, only(model.name)]) -> None:
        if name != model.name:
            raise UnknownModel(f"no model {name[:64]!r} is served; there is {model.name}")

    async def versioned(version: Annotated[str, only(model.version)]) -> None:
        if version != model.version:
            raise UnknownModel(f"no version {version[:80]!r} of {model.name} is served; there is {model.version}")

    by_name = [Depends(named)]
    return [("/v2/models/{name}", by_name), ("/v2/models/{name}/versions/{version}", [*by_name, Depends(versioned)])]


def metadata_routes(model: ServedModel) -> APIRouter:
    routes = APIRouter(tags=["metadata"])

    @routes.get("/v2", summary="The server", responses=documented())
    async def server() -> JSONResponse:
        return JSONResponse(SERVER)

    async def metadata() -> JSONResponse:
        return JSONResponse(model.metadata)

    async def model_ready() -> JSONResponse:
        return JSONResponse({"name": model.name, "ready": True})

    for path, checks in model_paths(model):
        settings: dict[str, Any] = {"dependencies": checks, "responses": documented(404)}
        routes.add_api_route(path, metadata, summary="The model", **settings)
        routes.add_api_route(f"{path}/ready", model_ready, summary="Whether the model is ready", **settings)
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

    add_metrics_route(routes, metrics, workers)
    return routes
