"""Whether the operator lives and is ready, for the kubelet."""

import subprocess
import sys

from starlette.testclient import TestClient

from lykeion.platform.kubernetes.api.list_watch import WatchAges, Watched
from lykeion.platform.kubernetes.objects.object_types import JOBS
from lykeion.platform.kubernetes.operator.operator_health import LIMIT_AGE_S, health_app
from lykeion.platform.kubernetes.operator.operator_metrics import OperatorMetrics


def test_a_watch_that_hears_nothing_ends_the_process_and_one_that_is_not_ready_says_why() -> None:
    now, why = [0.0], ["the objects are being read"]
    ages = WatchAges(lambda: now[0])
    metrics = OperatorMetrics(ages, lambda: 3, lambda: True)
    client = TestClient(health_app(metrics.text, ages, lambda: why[0]))
    quiet, loud = ages.begin(Watched(JOBS)), ages.begin(Watched(JOBS, "elsewhere"))
    twin = ages.begin(Watched(JOBS))
    assert client.get("/healthz").status_code == 200
    assert (client.get("/readyz").status_code, client.get("/readyz").text) == (503, why[0])
    why[0], now[0] = "", LIMIT_AGE_S + 1
    ages.heard(loud)
    ages.heard(twin)
    assert client.get("/readyz").status_code == 200
    assert (client.get("/healthz").status_code, client.get("/healthz").text) == (503, "jobs: 601 s")
    assert quiet not in (loud, twin)
    metrics.stepped("Training", "done", 0.01)
    metrics.requested("PATCH", "/apis/batch/v1/namespaces/a/jobs/b", 200)
    text = client.get("/metrics").text
    assert 'lykeion_watch_age_seconds{watch="jobs"} 601.0' in text
    assert "lykeion_queue_keys 3.0" in text
    assert 'lykeion_api_requests_total{code="200",resource="jobs",verb="PATCH"} 1.0' in text
    assert 'lykeion_reconcile_seconds_count{kind="Training",outcome="done"} 1.0' in text


def test_the_operator_starts_without_a_framework_that_it_does_not_use() -> None:
    """Half a second of each restart."""
    program = """
import sys
from lykeion.platform.kubernetes.operator.cluster_platform import ClusterPlatform
from lykeion.web_kit import serve_beside
print(ClusterPlatform.__name__, serve_beside.__name__, *({"fastapi", "pydantic"} & set(sys.modules)))
"""
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert printed.split() == ["ClusterPlatform", "serve_beside"]
