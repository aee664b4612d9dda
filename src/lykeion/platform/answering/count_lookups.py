"""Counts of requests from a Prometheus server, and from the metrics of replicas."""

import asyncio
import hashlib
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from lykeion.core import Unavailable, json_value
from lykeion.platform.lookups import GroupCounts, Labels, PrometheusCounts, ReplicaCounts

TIMEOUT_S = 5.0
LIMIT_BYTES = 8 << 20


class NoCounts(Unavailable):
    """Counts cannot be read; the message says from where."""


async def prometheus_counts(asked: PrometheusCounts) -> GroupCounts:
    """The sums of the series that each query finds. Raises NoCounts."""
    queries = [each for each in (asked.requests, asked.failures, asked.slow) if each]
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        values = await asyncio.gather(*(_queried(client, asked.url, query) for query in queries))
    requests, failures, *slow = (round(value) for value in values)
    buckets = {asked.slow_seconds: requests - slow[0], math.inf: requests} if slow else {}
    return GroupCounts("prometheus", requests, failures, 0, buckets)


class ReplicaCounter:
    """``replicas`` returns the addresses of a group's replicas, each after text that differs after a restart."""

    def __init__(self, replicas: Callable[[str, str], Awaitable[Sequence[tuple[str, str]]]]) -> None:
        self._replicas = replicas

    async def counts(self, asked: ReplicaCounts) -> GroupCounts:
        """Raises NoCounts, also if a replica does not answer: a part of them would look like fewer requests."""
        replicas = await self._replicas(asked.namespace, asked.group)
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            urls = [f"http://{address}{asked.path}" for _, address in replicas]
            pages = await asyncio.gather(*(_page(client, url) for url in urls))
        since = hashlib.sha256("\n".join(sorted(text for text, _ in replicas)).encode()).hexdigest()[:16]
        every = [replica_counts(page.decode(errors="replace"), asked) for page in pages]
        buckets: Counter[float] = Counter()
        for each in every:
            buckets.update(each.buckets)
        requests, failures = sum(each.requests for each in every), sum(each.failures for each in every)
        return GroupCounts(since, requests, failures, 0, dict(buckets))


def replica_counts(page: str, asked: ReplicaCounts) -> GroupCounts:
    """The counts on one page in Prometheus' text format. Raises NoCounts."""
    requests = failures = 0.0
    buckets: Counter[float] = Counter()
    try:
        samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    except ValueError as error:
        raise NoCounts(f"the metrics of {asked.group} cannot be read: {error}") from None
    for sample in samples:
        requests += sample.value if _is_of(sample, *asked.requests) else 0
        failures += sample.value if _is_of(sample, *asked.failures) else 0
        if asked.latency and sample.name == f"{asked.latency}_bucket":
            buckets[float(sample.labels["le"])] += int(sample.value)
    return GroupCounts("", int(requests), int(failures), 0, dict(buckets))


def _is_of(sample: Any, name: str, labels: Labels) -> bool:
    return sample.name == name and all(_matches(pattern, sample.labels.get(label, "")) for label, pattern in labels)


def _matches(pattern: str, value: str) -> bool:
    """A dot is any character, all else is itself, so that no pattern takes long."""
    return len(pattern) == len(value) and all(want in (".", got) for want, got in zip(pattern, value, strict=True))


async def _queried(client: httpx.AsyncClient, url: str, query: str) -> float:
    text = await _page(client, f"{url.rstrip('/')}/api/v1/query", {"query": query})
    answer = json_value(text.decode(errors="replace"), NoCounts, "answer", where=f"{url}: ")
    try:
        if answer["status"] != "success" or answer["data"]["resultType"] != "vector":
            raise NoCounts(f"{url}: {str(answer.get('error') or 'the query is no vector')[:200]}")
        values = [float(each["value"][1]) for each in answer["data"]["result"]]
    except (KeyError, TypeError, ValueError, IndexError):
        raise NoCounts(f"{url}: not an answer of Prometheus") from None
    total = math.fsum(values)
    if not math.isfinite(total):
        raise NoCounts(f"{url}: the result is not a number")
    return total


async def _page(client: httpx.AsyncClient, url: str, params: dict[str, str] | None = None) -> bytes:
    """The body of a response. Raises NoCounts."""
    body = bytearray()
    try:
        async with client.stream("GET", url, params=params) as answer:
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > LIMIT_BYTES:
                    raise NoCounts(f"{url}: more than {LIMIT_BYTES} bytes")
            if answer.status_code not in (200, 400, 422):  # Prometheus explains the last two in the body
                raise NoCounts(f"{url}: status {answer.status_code}")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoCounts(f"{url}: {error or type(error).__name__}") from None
    return bytes(body)
