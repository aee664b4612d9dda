"""Shared by our HTTP servers: access checks, limits, timeouts, errors, metrics, workers, listening.

``admission`` and ``limits`` decide by plain functions, for servers of any kind; ``Guard`` applies them to ASGI apps.
"""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .admission import Refusal, refuse_host, refuse_origin, refuse_stranger, refuse_token
    from .error_families import status_of
    from .errors import ErrorAnswer, answer_errors, documented
    from .forwarding import Networks, caller_of
    from .guard import Guard, outlives_timeout
    from .limits import Clients, Uploads, refuse_length
    from .listening import serve, serve_beside
    from .metrics import Meter, Metrics
    from .plain_forms import PlainPart, read_plain_form
    from .server_settings import ServerSettings, read_proxies, read_token
    from .service_base import add_metrics_route, service_app
    from .sparing_log import SparingLog
    from .strict import StrictRoute, is_unknown
    from .workers import Busy, Workers

__all__ = [
    "Busy", "Clients", "ErrorAnswer", "Guard", "Meter", "Metrics", "Networks", "PlainPart", "Refusal",
    "ServerSettings", "SparingLog", "StrictRoute", "Uploads", "Workers", "add_metrics_route", "answer_errors",
    "caller_of", "documented", "is_unknown", "outlives_timeout", "read_plain_form", "read_proxies", "read_token",
    "refuse_host", "refuse_length", "refuse_origin", "refuse_stranger", "refuse_token", "serve", "serve_beside",
    "service_app", "status_of",
]  # fmt: skip
__getattr__ = lazy(__name__)
