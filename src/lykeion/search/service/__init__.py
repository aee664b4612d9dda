"""Photo search over HTTP: an app for an index and its embedder, with a search page."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .app import create_app, serve
    from .catalogue import Catalogue, open_catalogue

__all__ = ["Catalogue", "create_app", "open_catalogue", "serve"]
__getattr__ = lazy(__name__)
