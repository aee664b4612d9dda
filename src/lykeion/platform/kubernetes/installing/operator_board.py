"""A Grafana board of the operator: what to look at first. deploy/grafana/lykeion.json is written from it."""

from typing import Any

WIDTH, HEIGHT = 12, 8
SOURCE = {"type": "prometheus", "uid": "${source}"}
PANELS: tuple[tuple[str, str, str, str], ...] = (
    ("Processes that lead (one)", "none", "sum(lykeion_leads)", "leaders"),
    ("Resources that wait for a controller", "none", "max(lykeion_queue_keys)", "waiting"),
    ("Steps", "ops", "sum by (kind, outcome) (rate(lykeion_reconcile_seconds_count[5m]))", "{{kind}} {{outcome}}"),
    ("Time of a step, 99 %", "s", "lykeion:reconcile_seconds:p99_5m", "{{kind}}"),
    ("Steps that fail", "percentunit", "lykeion:reconcile_failures:ratio5m", "{{kind}}"),
    ("Age of watches", "s", "max by (watch) (lykeion_watch_age_seconds)", "{{watch}}"),
    (
        "Requests to the API server",
        "reqps",
        "sum by (verb, resource) (lykeion:api_requests:rate5m)",
        "{{verb}} {{resource}}",
    ),
    (
        "Answers that are errors",
        "reqps",
        'sum by (code, resource) (lykeion:api_requests:rate5m{code=~"[45].."})',
        "{{code}} {{resource}}",
    ),
)
"""Title, unit, query, legend."""


def board() -> dict[str, Any]:
    return {
        "title": "Lykeion: the operator",
        "uid": "lykeion-operator",
        "tags": ["lykeion"],
        "schemaVersion": 39,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [_panel(number, *panel) for number, panel in enumerate(PANELS)],
    }


def _panel(number: int, title: str, unit: str, query: str, legend: str) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"x": number % 2 * WIDTH, "y": number // 2 * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [{"refId": "A", "datasource": SOURCE, "expr": query, "legendFormat": legend}],
    }
