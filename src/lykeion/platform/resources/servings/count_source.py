"""Where the counts that an analysis compares come from, if not from the proxy."""

from typing import Annotated

from msgspec import Meta

from lykeion.control import Wire

Query = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=4096,
        pattern=r"^[^\0]*\$\(group\)[^\0]*\Z",
        extra={"must be": "a query that names $(group), the replicas of one version"},
    ),
]
MetricName = Annotated[
    str,
    Meta(
        max_length=200, pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*\Z", extra={"must be": "the name of a Prometheus metric"}
    ),
]
LabelName = Annotated[
    str, Meta(max_length=128, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*\Z", extra={"must be": "the name of a label"})
]


class PrometheusQueries(Wire, frozen=True):
    """Queries whose results are counters; `$(group)` is replaced by the name of the replicas of one version."""

    url: Annotated[
        str,
        Meta(
            max_length=1024,
            pattern=r"^https?://[!-~]+\Z",
            description="Of the Prometheus server.",
            extra={"must be": "an address that begins with https:// or http://"},
        ),
    ]
    requests: Annotated[Query, Meta(description="All requests that have ended.")]
    failures: Annotated[Query, Meta(description="Those that failed.")]
    slow: Annotated[Query, Meta(description="Those that took more than `slowSeconds`.")] | None = None


class ReplicaMetric(Wire, frozen=True):
    """Samples of a counter."""

    name: Annotated[MetricName, Meta(description="Such as `http_requests_total`.")]
    labels: Annotated[
        dict[LabelName, Annotated[str, Meta(max_length=63)]],
        Meta(max_length=16, description="Patterns, as of a whole value: `code: 5..`; a dot is any character."),
    ] = {}


class ReplicaMetrics(Wire, frozen=True):
    """What the replicas themselves count, in Prometheus' text format."""

    requests: Annotated[ReplicaMetric, Meta(description="All requests that have ended.")]
    failures: Annotated[ReplicaMetric, Meta(description="Those that failed.")]
    latency: Annotated[MetricName, Meta(description="A histogram in seconds, for `slowSeconds`.")] | None = None
    path: Annotated[
        str, Meta(max_length=256, pattern=r"^/[!-~]*\Z", description="Of the page.", extra={"must be": "a path"})
    ] = "/metrics"
