"""Photo search over HTTP: an app over an index and an embedder, with a page to search on."""

from .app import create_app
from .catalogue import Catalogue, open_catalogue
from .server import serve
from .settings import Settings, read_token

__all__ = ["Catalogue", "Settings", "create_app", "open_catalogue", "read_token", "serve"]
