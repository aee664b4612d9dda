"""What all connections of the proxy share: the route table, the choice of replicas, counts and the log."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from lykeion.web_kit import refuse_host, refuse_origin, refuse_token

from .http_heads import BadRequest, RequestHead
from .listeners import Listener
from .proxy_metrics import ProxyMetrics
from .proxy_settings import REQUESTS, ROUTES
from .replica_choice import ReplicaChoice, Target
from .request_log import RequestLog
from .route_table import RoutedService, RouteTable, RouteTableError

_log = logging.getLogger("lykeion.platform.proxy")


class Forwarder:
    """``directory`` holds the table and the log."""

    def __init__(self, directory: Path) -> None:
        self.choice, self.metrics, self.requests = ReplicaChoice(), ProxyMetrics(), RequestLog(directory / REQUESTS)
        self.stopping = False
        """Whether connections end with their next response."""
        self._table, self._path, self._seen = RouteTable(), directory / ROUTES, (0, 0)

    def follow_table(self) -> None:
        """Use the table in the file if it has been replaced; one that cannot be read is reported once."""
        try:
            stat = self._path.stat()
            if (stat.st_ino, stat.st_mtime_ns) != self._seen:
                self._seen = (stat.st_ino, stat.st_mtime_ns)
                self._table = RouteTable.read(self._path)
                self.metrics.follow(self._table)
        except FileNotFoundError:
            return
        except (OSError, RouteTableError) as error:
            _log.warning("%s", error)

    def admit(self, head: RequestHead, listener: Listener) -> tuple[RoutedService, str, str] | bytes:
        """The service of a request with prefix and path, or the proxy's own answer. Raises BadRequest."""
        service, prefix, path = self._find(head)
        if listener.token:
            refusal = refuse_token(head.values("authorization"), listener.token)
        else:
            named_by_host = service is not None and not prefix
            refusal = None if named_by_host else refuse_host([head.host])
            refusal = refusal or refuse_origin(head.values("origin"), head.host)
        if refusal:
            raise BadRequest(refusal.status, refusal.message)
        if service:
            return service, prefix, path
        if head.path == "/healthz":
            return b"ok\n"
        if head.path == "/metrics":
            return self.metrics.text(self.choice.in_flight)
        raise BadRequest(404, "there is no such service; its path is /services/NAMESPACE/NAME/")

    def _find(self, head: RequestHead) -> tuple[RoutedService | None, str, str]:
        """In the newest table, if not in this one: whoever asks may know of a replica from the resources' status."""
        found = self._table.find(head.host_name, head.path)
        if found[0] and any(each.replicas for each in found[0].groups if each.weight):
            return found
        self.follow_table()
        return self._table.find(head.host_name, head.path)

    def log(
        self,
        client: str,
        head: RequestHead,
        service: RoutedService,
        tried: Sequence[Target],
        status: int,
        seconds: float,
    ) -> None:
        self.requests.add(
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            client=client,
            method=head.method,
            path=head.path,
            namespace=service.namespace,
            service=service.service,
            group=tried[-1].group,
            replica=tried[-1].replica,
            tries=len(tried),
            status=status,
            milliseconds=round(1000 * seconds, 2),
        )
