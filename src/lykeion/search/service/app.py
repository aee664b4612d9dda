"""The app: the routes of a catalogue, protected by a guard, and a search page."""

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from lykeion import web_kit
from lykeion.web_kit import Guard, Meter, Metrics, ServerSettings, Workers, answer_errors, service_app

from .index_metrics import IndexCollector, photo_counter
from .routes.column_routes import column_routes
from .routes.item_routes import item_routes
from .routes.operation_routes import operation_routes
from .routes.search_routes import add_photo_search, search_routes
from .served_catalogue import CatalogueCalls, ServedCatalogue

PAGE = Path(__file__).parent / "page"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/openapi.json"})


def serve(
    served: ServedCatalogue,
    settings: ServerSettings,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    ready: Callable[[str], object] = lambda url: None,
) -> None:
    """Serve a catalogue until SIGINT or SIGTERM, as ``web_kit.serve`` does."""
    web_kit.serve(create_app(served, settings), settings, host=host, port=port, ready=ready)


def create_app(served: ServedCatalogue, settings: ServerSettings) -> FastAPI:
    """An ASGI app for a catalogue, which may be closed once the app has shut down."""
    workers = Workers(settings.threads, settings.waiting)
    calls = CatalogueCalls(served, workers)
    photos_embedded = photo_counter()
    metrics = Metrics(photos_embedded, IndexCollector(served))

    app = service_app("Lykeion photo search", "Search a catalogue of products by photo.", workers)
    add_photo_search(app, calls, photos_embedded)
    app.include_router(search_routes(calls))
    app.include_router(item_routes(calls, photos_embedded))
    app.include_router(column_routes(calls))
    app.include_router(operation_routes(calls, workers, metrics))
    app.add_route("/", _page, include_in_schema=False)
    app.mount("/", StaticFiles(directory=PAGE), name="page")
    answer_errors(app)
    page = frozenset("/" + path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*") if path.is_file())
    app.add_middleware(Guard, settings=settings, open_paths=OPEN_PATHS | page, page_policy=PAGE_POLICY)
    app.add_middleware(Meter, metrics=metrics)
    return app


async def _page(request: Request) -> Response:
    """Behind a proxy the links are below its prefix, since its path may have no slash at the end."""
    page, prefix = PAGE / "index.html", request.scope["root_path"]
    if not prefix:
        return FileResponse(page)
    return HTMLResponse(page.read_text(encoding="utf-8").replace('="./', f'="{prefix}/'))
