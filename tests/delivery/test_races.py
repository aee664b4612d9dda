"""Two publishers, and a publisher and a device, meeting at every act on a file."""

from pathlib import Path

import pytest

from lykeion.delivery import PublishOptions, init, publish, refresh
from lykeion.delivery.tuf.target_sets import files_of
from lykeion.delivery.tuf.tuf_state import read_state
from tests.delivery.crash_rounds import seen
from tests.delivery.fleet import Fleet
from tests.interleaving import Meeting, meet_at_every_act


@pytest.mark.slow
def test_two_publishers_take_turns(fleet: Fleet) -> None:
    options = [PublishOptions(fleet.classes(fleet.push(1, name))) for name in ("hats", "shoes")]

    fleet.init()  # once before, so that nothing is imported while somebody waits
    publish(fleet.home, "hats:v1", options[0], clock=fleet.clock)

    def prepare(number: int) -> Meeting:
        home = fleet.path / f"tuf-{number}"
        init(home, threshold=1, clock=fleet.clock)

        def check() -> None:
            state = read_state(home)
            assert [len(files_of(state, name)) for name in ("hats", "shoes")] == [3, 3]
            assert state.timestamp.signed.version == 3

        return Meeting(
            lambda: publish(home, "hats:v1", options[0], clock=fleet.clock),
            lambda: publish(home, "shoes:v1", options[1], clock=fleet.clock),
            check,
        )

    assert meet_at_every_act(prepare, step=29) > 100


@pytest.mark.slow
def test_a_device_that_reads_while_a_version_is_published_sees_the_state_before_or_after(
    fleet: Fleet, tmp_path: Path
) -> None:
    first, second = fleet.push(1), fleet.push(2)
    fleet.init()
    publish(fleet.home, "shoes:v2", PublishOptions(fleet.classes(second)), clock=fleet.clock)

    def prepare(number: int) -> Meeting:
        home, device = fleet.path / f"tuf-{number}", fleet.path / f"device-{number}"
        (device / "targets").mkdir(parents=True)
        init(home, threshold=1, clock=fleet.clock)
        publish(home, "shoes:v1", PublishOptions(fleet.classes(first)), clock=fleet.clock)
        options, found = PublishOptions(fleet.classes(second)), []
        return Meeting(
            lambda: (publish(home, "shoes:v2", options, clock=fleet.clock), refresh(home, clock=fleet.clock)),
            lambda: found.append(seen(home, device)),
            lambda: found[0] in ((True, False), (True, True)) or pytest.fail(str(found)),
        )

    assert meet_at_every_act(prepare, step=23) > 100
