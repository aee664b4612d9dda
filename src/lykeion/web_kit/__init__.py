"""What each HTTP server of ours stands on: a guard, limits, errors, metrics, workers, listening."""

from .errors import answer_errors, documented
from .guard import Guard
from .listening import serve
from .metrics import Meter, Metrics
from .settings import ServerSettings, read_token
from .workers import Workers

__all__ = [
    "Guard",
    "Meter",
    "Metrics",
    "ServerSettings",
    "Workers",
    "answer_errors",
    "documented",
    "read_token",
    "serve",
]
