"""Photo search over HTTP: an app for an index and its embedder, with a search page."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .app import create_app, serve
    from .catalogue import Catalogue
    from .index_follower import LOOK_S, followed_catalogue
    from .index_sources import IndexSource, PathSource, ServerSource
    from .served_catalogue import ServedCatalogue

__all__ = [
    "LOOK_S", "Catalogue", "IndexSource", "PathSource", "ServedCatalogue", "ServerSource", "create_app",
    "followed_catalogue", "serve",
]  # fmt: skip
__getattr__ = lazy(__name__)
