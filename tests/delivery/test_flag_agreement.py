"""Random flags for random units: GrowthBook's client for Python decides as we do, on conditions and on units.

The client for JavaScript is in tests/e2e.
"""

from pathlib import Path

from growthbook import GrowthBook, InMemoryStickyBucketService

from lykeion.delivery.device_service import FleetStore
from lykeion.delivery.flags import FlagEdit, FlagEnvironment, FlagStore, flag_values, read_flag
from tests.delivery.flag_agreement import compare, payload


def test_the_client_for_python_decides_as_we_do() -> None:
    report = compare(units=60, flags=15, seed=7)
    assert report["varied"] > report["decisions"] / 10
    assert (report["matching"], report["python"]) == (0, 0)


def test_the_client_for_python_keeps_sticky_variations_as_we_do_when_weights_change(tmp_path: Path) -> None:
    base = FleetStore(tmp_path / "fleet.db")
    flags, service = FlagStore(base), InMemoryStickyBucketService()
    found: list[tuple[list[int], list[int]]] = []
    for weight in (9, 1):
        variations = [{"name": "a", "value": 0, "weight": weight}, {"name": "b", "value": 1}]
        rule = {"id": "split", "sticky": True, "variations": variations}
        flags.put("size", read_flag({"type": "number", "default": -1, "rules": [rule]}), FlagEdit("ann", "test", 1.0))
        environment = flags.read()
        units = [f"unit-{number}" for number in range(40 if weight == 9 else 80)]
        ours = [flag_values(flags, environment, {"id": each})["size"].value for each in units]
        found.append((ours, [_by_python(environment, service, each) for each in units]))
    base.close()
    (before, theirs_before), (after, theirs_after) = found
    assert (before, after) == (theirs_before, theirs_after)
    assert after[:40] == before
    assert sum(before) < 10 < sum(after[40:])


def _by_python(environment: FlagEnvironment, service: InMemoryStickyBucketService, unit: str) -> int:
    sent = payload(environment)
    client = GrowthBook(features=sent["features"], attributes={"id": unit}, sticky_bucket_service=service)
    value = client.eval_feature("size").value
    client.destroy()
    return value
