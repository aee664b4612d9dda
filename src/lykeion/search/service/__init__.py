"""Photo search over HTTP: an app for an index and its embedder, with a search page."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .app import create_app, serve
    from .catalogue import Catalogue, Page
    from .finding_index import find_source
    from .index_follower import followed_catalogue
    from .index_sources import IndexSource, PathSource
    from .served_catalogue import ServedCatalogue

__all__ = [
    "Catalogue",
    "IndexSource",
    "Page",
    "PathSource",
    "ServedCatalogue",
    "create_app",
    "find_source",
    "followed_catalogue",
    "serve",
]
__getattr__ = lazy(__name__)
