"""Flags are kept with their history, and a change moves no unit that it need not move."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lykeion.delivery.device_service import FleetStore
from lykeion.delivery.device_service.store import fleet_store
from lykeion.delivery.flags import (
    FlagConflict,
    FlagEdit,
    FlagError,
    FlagStore,
    NoSuchFlag,
    SavedGroup,
    evaluate_flags,
    flag_values,
    read_flag,
)

EDIT = FlagEdit("ann", "we need it", 1_000.0)
UNITS = [f"unit-{number}" for number in range(2_000)]


@pytest.fixture
def flags(base: FleetStore) -> FlagStore:
    store = FlagStore(base)
    store.set_attribute("id", "string", EDIT)
    store.set_attribute("age", "number", EDIT)
    return store


def split(*weights: float, **more: Any) -> dict[str, Any]:
    names = [{"name": f"v{number}", "value": number, "weight": each} for number, each in enumerate(weights)]
    return {"id": "split", "variations": names, **more}


def number_flag(*rules: dict[str, Any], **more: Any) -> Any:
    return read_flag({"type": "number", "default": -1, "rules": list(rules), **more})


def values(flags: FlagStore, name: str = "size", **attributes: Any) -> list[Any]:
    """Of all units."""
    environment = flags.read()
    return [evaluate_flags(environment, {"id": each, **attributes})[name].value for each in UNITS]


def test_every_version_is_kept_with_who_changed_it_when_and_why(flags: FlagStore) -> None:
    flags.put("size", number_flag(), FlagEdit("ann", "to try it", 5.0))
    flags.put("size", number_flag(enabled=False), FlagEdit("bob", "it broke", 6.0))
    newest, first = flags.history("size")
    assert (first.number, first.who, first.why, first.at, first.flag.enabled) == (1, "ann", "to try it", 5.0, True)
    assert (newest.number, newest.who, newest.flag.enabled) == (2, "bob", False)
    assert flags.get("size", 1) == first
    for call in (lambda: flags.get("size", 9), lambda: flags.get("other"), lambda: flags.archive("other", EDIT)):
        with pytest.raises(NoSuchFlag):
            call()


def test_a_change_of_what_somebody_else_has_changed_is_refused(flags: FlagStore) -> None:
    flags.put("size", number_flag(), EDIT, expected=0)
    flags.put("size", number_flag(), FlagEdit("bob", "first", 6.0), expected=1)
    with pytest.raises(FlagConflict, match="version 2, and not at 1, by bob: first"):
        flags.put("size", number_flag(), EDIT, expected=1)
    with pytest.raises(FlagConflict, match="is number"):
        flags.put("size", read_flag({"type": "boolean", "default": True}), EDIT)


def test_more_coverage_moves_nobody_and_less_takes_only_away(flags: FlagStore) -> None:
    found = []
    for coverage in (0.1, 0.5, 1.0, 0.5):
        assert not flags.put("size", number_flag(split(1, 1, coverage=coverage)), EDIT).notes
        found.append(values(flags))
    for few, many in pairwise(found[:3]):
        assert all(one in (-1, other) for one, other in zip(few, many, strict=True))
    assert found[1] == found[3]
    assert 100 < sum(each != -1 for each in found[0]) < 300


def test_other_weights_begin_a_phase_in_which_units_are_divided_independently(flags: FlagStore) -> None:
    flags.put("size", number_flag(split(90, 10)), EDIT)
    before = values(flags)
    changed = flags.put("size", number_flag(split(50, 50)), EDIT)
    assert changed.notes == ("rule split: phase 2 begins, in which units are divided anew",)
    after = values(flags)
    small = [new for old, new in zip(before, after, strict=True) if old == 1]
    assert 0.35 < sum(small) / len(small) < 0.65  # with the same seed all of them would have stayed
    assert flags.put("size", number_flag(split(5, 5)), EDIT).notes == ()
    assert values(flags) == after
    assert flags.put("size", number_flag(split(5, 5)), EDIT, new_phase=True).notes
    assert values(flags) != after


def test_with_sticky_rules_units_keep_their_variation_when_weights_change(flags: FlagStore) -> None:
    flags.put("size", number_flag(split(90, 10, sticky=True)), EDIT)
    before = _values_kept(flags)
    changed = flags.put("size", number_flag(split(50, 50, sticky=True)), EDIT)
    assert changed.notes == ("rule split: units keep their variation, new ones are divided by the new weights",)
    assert _values_kept(flags) == before
    fresh = [evaluate_flags(flags.read(), {"id": f"new-{number}"})["size"].value for number in range(1_000)]
    assert 400 < sum(fresh) < 600
    flags.put("size", number_flag(split(50, 50, sticky=True)), EDIT, new_phase=True)
    assert _values_kept(flags) != before


def _values_kept(flags: FlagStore) -> list[Any]:
    environment = flags.read()
    return [flag_values(flags, environment, {"id": each})["size"].value for each in UNITS[:100]]


def test_a_rule_that_comes_back_divides_units_anew_and_no_two_rules_have_one_seed(flags: FlagStore) -> None:
    flags.put("size", number_flag(split(1, 1)), EDIT)
    before = values(flags)
    flags.put("size", number_flag(), EDIT)
    flags.put("size", number_flag(split(1, 1)), EDIT)
    again = flags.get("size").flag.ordered_rules[0]
    assert (again.phase, values(flags) == before) == (2, False)
    flags.claim_seed("rollout-7", "rollout 7")
    for seed in ("rollout-7", "size.split.1", again.seed):
        with pytest.raises(FlagConflict, match=f"the seed '{seed}' is of"):
            flags.put("other", number_flag(split(1, 1, seed=seed)), EDIT)
    with pytest.raises(FlagConflict):
        flags.claim_seed(again.seed, "an experiment")
    with pytest.raises(NoSuchFlag):
        flags.get("other")


def test_what_get_shows_may_be_put_back_and_changes_nothing(flags: FlagStore) -> None:
    flags.put("size", number_flag(split(1, 3), {"id": "old", "value": 5, "coverage": 0.3}), EDIT)
    before, flag = values(flags), flags.get("size").flag
    assert flags.put("size", flag, EDIT).version.flag == flag
    assert values(flags) == before


def test_attributes_groups_and_other_flags_decide(flags: FlagStore) -> None:
    flags.set_group("testers", SavedGroup("id", ["unit-1", "unit-2"]), EDIT)
    flags.put("on", read_flag({"type": "boolean", "default": False, "rules": [_for("testers", True)]}), EDIT)
    flags.put(
        "size", number_flag({"id": "adults", "where": "age >= 18", "value": 3}, requires=[{"flag": "on"}]), EDIT
    )
    environment = flags.read()
    found = {
        unit: [evaluate_flags(environment, {"id": unit, **more})["size"].value for more in ({}, {"age": 18})]
        for unit in ("unit-1", "unit-3")
    }
    assert found == {"unit-1": [-1, 3], "unit-3": [-1, -1]}
    with pytest.raises(FlagConflict, match="flag on is needed: flag size, rule adults: it requires the flag 'on'"):
        flags.archive("on", EDIT)
    flags.archive("size", EDIT)
    flags.archive("on", EDIT)
    assert [each.name for each in flags.listing()] == []
    assert [each.name for each in flags.listing(archived=True)] == ["on", "size"]


def _for(group: str, value: Any) -> dict[str, Any]:
    return {"id": "group", "inGroups": [group], "value": value}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"where": "height > 3"}, "no attribute 'height' is declared; there are: age, id; or set serverOnly: true"),
        ({"where": "age > 'x'"}, "'age' is a number, and 'x' is not"),
        ({"where": "age >"}, "filter, character 6: it ends"),
        ({"where": "age > 9007199254740992"}, "below 2^53"),
        ({"where": "id < '\U0001f600'"}, "by UTF-16"),
        ({"inGroups": ["none"]}, "there is no group 'none'"),
        ({"requires": [{"flag": "none"}]}, "the flag 'none', which there is not"),
        ({"requires": [{"flag": "size"}]}, "'value' is a number, and True is not"),
        ({"requires": [{"flag": "size", "where": "value > 3"}]}, "require themselves: size → size"),
    ],
)
def test_what_does_not_fit_is_refused_and_says_where(flags: FlagStore, rule: dict[str, Any], message: str) -> None:
    with pytest.raises(FlagError) as found:
        flags.put("size", number_flag({"id": "a", "value": 1, **rule}), EDIT)
    assert message in str(found.value)
    assert "flag" in str(found.value)


def test_conditions_that_clients_cannot_decide_are_decided_by_the_server(flags: FlagStore) -> None:
    rules = [{"id": "tall", "where": "`size.eu` > 40 and age > 9007199254740992", "value": 1}, split(1, 1)]
    flags.put("size", number_flag(*rules, serverOnly=True), EDIT)
    environment = flags.read()
    found = [
        evaluate_flags(environment, {"id": "x", "size.eu": size, "age": 2**53 + 1})["size"] for size in (41, 40, "x")
    ]
    assert [each.rule for each in found] == ["tall", "split", "split"]
    with pytest.raises(FlagError, match="clients are not sent"):
        flags.put(
            "other", number_flag({"id": "a", "value": 1, "requires": [{"flag": "size", "where": "value > 1"}]}), EDIT
        )


def test_clients_are_sent_no_more_than_they_can_take(flags: FlagStore) -> None:
    for number in range(5):
        flags.set_group(f"g{number}", SavedGroup("id", [f"{'x' * 100}{each}" for each in range(10_000)]), EDIT)
    rules = [{"id": f"r{number}", "inGroups": [f"g{number}"], "value": 1} for number in range(5)]
    flags.put("size", number_flag(*rules[:3]), EDIT)
    with pytest.raises(FlagError, match="more than 4 MiB"):
        flags.put("size", number_flag(*rules), EDIT)
    with pytest.raises(FlagError, match="more than 4 MiB"):
        flags.set_group("g0", SavedGroup("id", [f"{'x' * 300}{each}" for each in range(10_000)]), EDIT)
    with pytest.raises(FlagError, match="at most 10,000"):
        flags.set_group("g0", SavedGroup("id", [str(each) for each in range(10_001)]), EDIT)


def test_an_attribute_has_one_type_for_ever(flags: FlagStore) -> None:
    with pytest.raises(FlagConflict, match="attribute age is number"):
        flags.set_attribute("age", "string", EDIT)
    for name in ("size.eu", "constructor", "toString", "$or", ""):
        with pytest.raises(FlagError, match="attribute is"):
            flags.set_attribute(name, "string", EDIT)


def test_each_change_has_a_number_and_a_later_time_than_the_one_before(flags: FlagStore) -> None:
    number, at = flags.number()
    flags.put("size", number_flag(), EDIT)
    assert flags.number()[0] == number + 1
    assert flags.number()[1] > at
    assert FlagStore(flags.base, "staging").number() == (0, 0.0)
    with pytest.raises(NoSuchFlag):
        FlagStore(flags.base, "staging").get("size")


def test_a_file_of_devices_that_was_made_before_there_were_flags_gets_them(tmp_path: Path) -> None:
    base = sqlite3.connect(tmp_path / "fleet.db")
    for statement in fleet_store.MIGRATIONS[0]:
        base.execute(statement)
    base.execute(f"PRAGMA application_id={fleet_store._APPLICATION_ID}")
    base.execute("PRAGMA user_version=1")
    base.close()
    for _ in range(2):
        store = FleetStore(tmp_path / "fleet.db")
        assert FlagStore(store).listing() == []
        store.close()


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda each: (
            st.lists(each, max_size=4)
            | st.dictionaries(
                st.sampled_from(["type", "default", "rules", "id", "where", "value", "variations"]), each
            )
        ),
    )
)
def test_what_is_no_flag_is_refused(value: Any) -> None:
    with suppress(FlagError):
        assert read_flag(value).type == value["type"]


@pytest.mark.slow
def test_no_change_that_was_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    flags = FlagStore(FleetStore(tmp_path / "fleet.db"))
    flags.set_attribute("id", "string", EDIT)
    flags.set_attribute("age", "number", EDIT)
    program = (
        "import sys\nfrom pathlib import Path\nfrom lykeion.delivery.device_service import FleetStore\n"
        "from tests.delivery.test_flag_store import EDIT, FlagStore, number_flag, split\n"
        "flags = FlagStore(FleetStore(Path(sys.argv[1])))\n"
        "for number in range(1, 1_000_000):\n"
        "    change = flags.put('size', number_flag(split(number, 1)), EDIT)\n"
        "    print(change.version.number, flush=True)\n"
    )
    for _ in range(3):
        command = [sys.executable, "-c", program, str(tmp_path / "fleet.db")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        assert process.stdout
        for _ in range(10):
            process.stdout.readline()
        process.kill()
        said = [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        process.wait()
        history = flags.history("size")
        assert [each.number for each in history] == list(range(len(history), 0, -1))
        assert len(history) >= (int(said[-1]) if said else 10)
        seeds = [each.flag.ordered_rules[0].seed for each in history]
        assert len(set(seeds)) == len(seeds)


def test_of_two_who_change_one_version_at_once_one_is_refused(flags: FlagStore) -> None:
    flags.put("size", number_flag(), EDIT)

    def change(who: str) -> bool:
        try:
            flags.put("size", number_flag(), FlagEdit(who, "mine", 2.0), expected=1)
        except FlagConflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(change, "abcd")) == [False, False, False, True]
