"""Messages of many devices are stored by few statements, with the result that they have one by one."""

from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lykeion.core import LykeionError
from lykeion.delivery.device_service import FleetStore, open_fleet
from lykeion.delivery.device_sessions import resume_session
from lykeion.delivery.gateway.message_inbox import MessageBundle, _stored_alone, store_bundles
from lykeion.delivery.simulation import make_devices
from lykeion.device.conversation import HelloFrame, MessageFrame
from tests.delivery.postgres import Postgres

DEVICES = 6
NOW = 1_000_000.0
TABLES = ("sessions", "events", "event_days", "dropped_events", "models", "devices")
names = count(1)


def event(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": number, "kind": "event", "name": "a", "at": 1.1, "fields": fields}


EVENT = st.builds(event, st.integers(1, 4), model=st.sampled_from(["shoes", "x" * 100]), version=st.integers(-1, 3))
BODIES = st.one_of(
    st.builds(lambda events: ("events", {"events": events, "dropped": {}}), st.lists(EVENT, max_size=3)),
    st.just(("events", {"events": [event(1)], "dropped": {"0" * 16: {"event": 3}}})),
    st.just(("events", {"events": [event(1, text="x" * 9_000)], "dropped": {}})),
    st.just(("events", {"events": [{"id": "none"}], "dropped": {}})),
    st.just(("state", {"software": "1", "runtime": "2", "attributes": {"shop": 3}, "models": {}})),
    st.just(("nobody knows this", None)),
)
BUNDLES = st.dictionaries(
    st.integers(0, DEVICES - 1), st.tuples(st.booleans(), st.lists(BODIES, min_size=1, max_size=3)), max_size=DEVICES
)
"""By device, whether the session is still this gateway's, and its messages."""


def together(store: FleetStore, bundles: list[MessageBundle]) -> list[int | LykeionError]:
    with store.transaction() as now:
        return store_bundles(now, bundles, NOW)


def one_by_one(store: FleetStore, bundles: list[MessageBundle]) -> list[int | LykeionError]:
    results = []
    for each in bundles:
        with store.transaction() as now:
            results.append(_stored_alone(now, each, NOW))
    return results


def outcome(store: FleetStore, rounds: list[dict], how: Callable[..., list]) -> tuple[list, list]:
    """Results as text, and all rows."""
    made = [each.device for each in make_devices(store, DEVICES, NOW)]
    with store.transaction() as now:
        for name in made:
            resume_session(now, name, HelloFrame(bytes(16), 0, 0, 1, 1, 64, {}), (), "gateway", NOW)
    taken, results = dict.fromkeys(made, 0), []
    for each in rounds:
        bundles = []
        for place, (own, bodies) in each.items():
            first = taken[made[place]] + 1
            messages = [MessageFrame(first + turn, *body) for turn, body in enumerate(bodies)]
            bundles.append(MessageBundle(None, made[place], 1 if own else 0, messages))
            taken[made[place]] += len(bodies) if own else 0
        results += [str(result) for result in how(store, bundles)]
    found = []
    for table in TABLES:
        for row in store.rows(f"SELECT * FROM {table}"):
            plain = {name: value for name, value in dict(row).items() if name != "public_key"}
            found.append((table, *(made.index(value) if value in made else value for value in plain.values())))
    return results, sorted(map(str, found))


def check(directory: Path, state: Callable[[], str], rounds: list[dict]) -> None:
    stores = [open_fleet(directory / name, state()) for name in ("together", "one_by_one")]
    try:
        assert outcome(stores[0], rounds, together) == outcome(stores[1], rounds, one_by_one)
    finally:
        for store in stores:
            store.close()


@settings(max_examples=40, deadline=None)
@given(st.lists(BUNDLES, min_size=1, max_size=3))
@example([{place: (True, [("events", {"events": [], "dropped": {}})]) for place in (1, 2)}])
def test_messages_that_are_stored_together_leave_what_they_leave_one_by_one(rounds: list[dict]) -> None:
    with TemporaryDirectory() as directory:
        check(Path(directory), str, rounds)


@pytest.mark.slow
def test_so_they_do_in_postgresql(postgres_server: Postgres, tmp_path: Path) -> None:
    @settings(max_examples=8, deadline=None)
    @given(st.lists(BUNDLES, min_size=1, max_size=3))
    def compared(rounds: list[dict]) -> None:
        check(tmp_path, lambda: postgres_server.base(f"inbox{next(names)}"), rounds)

    compared()


def test_events_of_many_devices_are_stored_by_few_statements_and_one_that_floods_keeps_none_back(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    with closing(open_fleet(tmp_path)) as store:
        made = [each.device for each in make_devices(store, 100, NOW)]
        with store.transaction() as now:
            for name in made:
                resume_session(now, name, HelloFrame(bytes(16), 0, 0, 1, 1, 64, {}), (), "gateway", NOW)
        batch = [MessageFrame(n, "events", {"events": [event(n)], "dropped": {}}) for n in range(1, 17)]
        store._base.set_trace_callback(said.append)
        assert together(store, [MessageBundle(None, name, 1, list(batch)) for name in made]) == [0] * 100
        assert len(said) < 40
        # one sends again what it sent
        repeated = [MessageFrame(17, "events", batch[0].body)]
        others = [MessageFrame(17, "events", {"events": [event(17)], "dropped": {}})]
        said.clear()
        bundles = [MessageBundle(None, name, 1, repeated if name == made[40] else others) for name in made]
        assert together(store, bundles) == [0] * 100
        assert len(said) < 300
        assert store.rows("SELECT count(*) AS n FROM events")[0]["n"] == 100 * 17 - 1
