"""The app: the Open Inference Protocol v2 for one model, protected by a guard."""

from collections.abc import Callable

from fastapi import FastAPI

from lykeion import web_kit
from lykeion.core import retain_memory
from lykeion.web_kit import Guard, Meter, Metrics, ServerSettings, Uploads, Workers, answer_errors, service_app

from .batch_metrics import model_info, photo_counter
from .infer_routes import infer_routes
from .metadata_routes import health_routes, metadata_routes
from .served_model import ServedModel

RETAINED_BYTES = 64 << 20
"""Tensors are allocated and freed with each request."""
OPEN_PATHS = frozenset({"/v2/health/live", "/v2/health/ready", "/healthz", "/readyz", "/openapi.json"})


def serve_model(
    model: ServedModel,
    settings: ServerSettings,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    ready: Callable[[str], object] = lambda url: None,
) -> None:
    """Serve a model until SIGINT or SIGTERM, as ``web_kit.serve`` does."""
    retain_memory(RETAINED_BYTES)
    web_kit.serve(model_app(model, settings), settings, host=host, port=port, ready=ready)


def model_app(model: ServedModel, settings: ServerSettings) -> FastAPI:
    """An ASGI app for a model, which may be closed once the app has shut down."""
    workers = Workers(settings.threads, settings.waiting)
    photos_prepared = photo_counter()
    info = model_info(model.name, model.version, model.choice.kind)
    metrics = Metrics(photos_prepared, info, *model.batcher.metrics.collectors)

    app = service_app(
        "Lykeion model server",
        "The Open Inference Protocol v2, with binary tensors, classification and photos.",
        workers,
    )
    app.include_router(infer_routes(model, workers, Uploads(settings.max_body_bytes), photos_prepared))
    app.include_router(metadata_routes(model))
    app.include_router(health_routes(metrics, workers))
    answer_errors(app)
    app.add_middleware(Guard, settings=settings, open_paths=OPEN_PATHS)
    app.add_middleware(Meter, metrics=metrics)
    return app
