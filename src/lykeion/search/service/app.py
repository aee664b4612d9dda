"""The app: routes over a catalogue, behind a guard, beside a page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from lykeion import __version__

from .catalogue import Catalogue
from .errors import answer_errors
from .guard import Guard
from .item_routes import item_routes
from .metrics import Meter, Metrics
from .operation_routes import operation_routes
from .search_routes import search_routes
from .settings import Settings
from .workers import Workers

PAGE = Path(__file__).parent / "page"
OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/openapi.json"})


def create_app(catalogue: Catalogue, settings: Settings) -> FastAPI:
    """An ASGI app over a catalogue, which may be closed once the app has shut down."""
    workers = Workers(settings.threads, settings.waiting)
    metrics = Metrics(catalogue)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        workers.close()

    app = FastAPI(
        title="Lykeion photo search",
        version=__version__,
        description="Search a catalogue of products by photo.",
        docs_url=None,  # its scripts would come from elsewhere
        redoc_url=None,
        lifespan=life,
    )
    app.include_router(search_routes(catalogue, workers, metrics))
    app.include_router(item_routes(catalogue, workers, metrics))
    app.include_router(operation_routes(catalogue, workers, metrics))
    app.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    answer_errors(app)
    page = frozenset("/" + path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*") if path.is_file())
    app.add_middleware(Guard, settings=settings, open_paths=OPEN_PATHS | page)
    app.add_middleware(Meter, metrics=metrics)
    return app
