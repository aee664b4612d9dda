"""The platform's side of the proxy: how it is started, what it is told, and what it is asked."""

import hashlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import httpx
import msgspec
from msgspec import structs
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from lykeion.core import Unavailable, writing
from lykeion.platform.local.processes.attempt import Attempt
from lykeion.platform.local.processes.free_port import free_port
from lykeion.platform.local.proxy.certificate_names import certificate_names
from lykeion.platform.local.proxy.listeners import listeners_of
from lykeion.platform.local.proxy.proxy_settings import ROUTES, ProxySettings, TlsListener
from lykeion.platform.local.proxy.route_table import RoutedService, RouteTable, RouteTableError, service_path
from lykeion.platform.lookups import GroupCounts, RouteCounts
from lykeion.platform.resources.plain_kinds import REPLICA_GROUP, Readiness, ReplicaGroup, ReplicaGroupSpec
from lykeion.platform.resources.programs import Program

TIMEOUT_S = 2.0


class ProxyUnavailable(Unavailable):
    """The proxy does not run, or does not answer."""


def proxy_settings(directory: Path, port: int | None = None, elsewhere: TlsListener | None = None) -> ProxySettings:
    """By default with the port of the last run, at first a free one. Raises ProxySettingsError, SettingsError."""
    kept = ProxySettings.read(directory)
    settings = ProxySettings(port or (kept.port if kept else free_port(())), elsewhere)
    listeners_of(settings)
    return settings


class ProxyControl:
    """The proxy of the platform, with its files in ``directory``. Raises ProxySettingsError, OSError."""

    def __init__(self, directory: Path, settings: ProxySettings) -> None:
        self._table_path, self.port = directory / ROUTES, settings.port
        if settings != ProxySettings.read(directory):
            settings.write(directory)
        try:
            self._table = RouteTable.read(self._table_path)
        except RouteTableError:  # written by another version; it is written again
            self._table = RouteTable()
        self._names = certificate_names(Path(settings.elsewhere.certificate)) if settings.elsewhere else ()
        self.group = _group(directory, settings)
        """Runs the proxy; not in the store. Other settings make another group, before which the old one ends."""

    def served(self) -> frozenset[str]:
        """The replicas to which the proxy passes requests on, as ``UID/ATTEMPT``."""
        every = (each for service in self._table.services for each in service.groups)
        return frozenset(replica.id for each in every for replica in each.replicas)

    def url(self, namespace: str, service: str) -> str:
        return f"http://127.0.0.1:{self.port}{service_path(namespace, service)}"

    def variables(self, group: ReplicaGroup) -> Mapping[str, str]:
        """What tells ``lykeion serve`` of the proxy, and by which hosts it is asked for the group's service."""
        service = group.owner.name if group.owner else group.metadata.name
        hosts = (f"{service}.{group.metadata.namespace}", *self._names)
        return {"LYKEION_PROXIES": "127.0.0.1", "LYKEION_ALLOWED_HOSTS": " ".join(hosts)}

    def publish(self, services: Iterable[RoutedService]) -> bool:
        """Tell the proxy. Returns whether it is needed. Raises ProxyUnavailable."""
        wanted = tuple(services)
        if wanted != self._table.services:
            self._table = RouteTable(self._table.version + 1, wanted)
            with writing(self._table_path, ProxyUnavailable):
                self._table.write(self._table_path)
        return bool(wanted)

    async def is_idle(self, uid: str, attempt: Attempt) -> bool:
        """Whether the proxy knows that a replica gets no more requests, and it has none in flight."""
        try:
            metrics = await self._metrics()
        except httpx.ConnectError:
            return True
        except httpx.HTTPError:
            return False
        version = sum(each.value for each in metrics["lykeion_proxy_route_table_version"].samples)
        busy = {each.labels["replica"] for each in metrics["lykeion_proxy_replica_requests_in_flight"].samples}
        return version >= self._table.version and f"{uid}/{attempt.name}" not in busy

    async def counts(self, asked: RouteCounts) -> dict[str, GroupCounts]:
        """By group. Raises ProxyUnavailable."""
        try:
            metrics = await self._metrics()
        except httpx.HTTPError as error:
            raise ProxyUnavailable(f"the proxy does not answer ({error or type(error).__name__})") from None
        return route_counts(metrics, asked)

    async def _metrics(self) -> dict[str, Metric]:
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            text = (await client.get(f"http://127.0.0.1:{self.port}/metrics")).raise_for_status().text
        return {each.name: each for each in text_string_to_metric_families(text)}


def route_counts(metrics: dict[str, Metric], asked: RouteCounts) -> dict[str, GroupCounts]:
    """What the proxy's metrics say of a route, by group."""
    since = str(metrics["lykeion_proxy_start_time_seconds"].samples[0].value)
    found: dict[str, GroupCounts] = {}
    for field in ("requests", "failures", "requests_in_flight", "request_seconds"):
        for each in metrics[f"lykeion_proxy_{field}"].samples:
            if (each.labels["namespace"], each.labels["route"]) == (asked.namespace, asked.route):
                counts = found.setdefault(each.labels["group"], GroupCounts(since, 0, 0, 0, {}))
                found[each.labels["group"]] = _with(counts, each.name, each.labels.get("le"), int(each.value))
    return found


def _with(counts: GroupCounts, name: str, edge: str | None, value: int) -> GroupCounts:
    match name.removeprefix("lykeion_proxy_"):
        case "requests_total":
            return replace(counts, requests=value)
        case "failures_total":
            return replace(counts, failures=value)
        case "requests_in_flight":
            return replace(counts, in_flight=value)
        case "request_seconds_bucket" if edge:
            return replace(counts, buckets={**counts.buckets, float(edge): value})
        case _:
            return counts


def _group(directory: Path, settings: ProxySettings) -> ReplicaGroup:
    command = (sys.executable, "-m", "lykeion.platform.local.proxy", str(directory))
    spec = ReplicaGroupSpec(
        program=Program(command=command), readiness=Readiness(path="/healthz"), replicas=0, grace_period_seconds=10
    )
    made = REPLICA_GROUP.new("proxy", spec, namespace="")
    digest = hashlib.sha256(msgspec.json.encode((command, settings))).hexdigest()[:16]
    return replace(made, metadata=structs.replace(made.metadata, uid=f"proxy-{digest}"))
