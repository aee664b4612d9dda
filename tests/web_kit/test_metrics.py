import pytest
from prometheus_client import Counter
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient, WebSocketDenialResponse

from lykeion.web_kit import Meter, Metrics, ServerSettings

from .tiny import Tiny


def samples(metrics: Metrics) -> dict[tuple, float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def counted(metrics: Metrics, status: int) -> float:
    """Requests that were answered with a status, of all routes and methods."""
    return sum(
        count
        for (name, *labels), count in samples(metrics).items()
        if name == "lykeion_request_seconds_count" and ("status", str(status)) in labels
    )


def test_requests_and_websockets_are_counted_by_their_status_and_while_under_way():
    metrics = Metrics()
    client = TestClient(Meter(Tiny(ServerSettings()).app, metrics), base_url="http://localhost")
    client.get("/")
    client.get("/", headers={"Host": "evil.example"})
    with client.websocket_connect("ws://localhost/echo"):
        assert samples(metrics)["lykeion_requests_in_flight",] == 1
    with pytest.raises(WebSocketDenialResponse), client.websocket_connect("ws://evil.example/echo"):
        pass
    assert {status: counted(metrics, status) for status in (101, 200, 403)} == {101: 1, 200: 1, 403: 2}
    assert samples(metrics)["lykeion_requests_in_flight",] == 0


def test_an_app_that_fails_is_counted_as_a_500():
    async def broken(scope, receive, send) -> None:
        raise RuntimeError("broken")

    metrics = Metrics()
    with pytest.raises(RuntimeError, match="broken"):
        TestClient(Meter(broken, metrics)).get("/")
    assert counted(metrics, 500) == 1


def test_a_servers_own_collectors_are_shown_and_two_servers_share_none():
    own = Counter("photos", "Photos.", registry=None)
    metrics, other = Metrics(own), Metrics()
    own.inc(3)
    assert samples(metrics)["photos_total",] == 3
    assert ("photos_total",) not in samples(other)
