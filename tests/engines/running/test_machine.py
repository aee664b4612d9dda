import os

import pytest

from lykeion.engines.running import pinned, processor
from lykeion.engines.running.machine import named_in


def test_a_processor_is_named_by_the_system_on_chip_where_there_is_one() -> None:
    intel = "processor\t: 0\nmodel name\t: Fast CPU @ 3GHz: v2\n\nprocessor\t: 1\nmodel name\t: Other\n"
    phone = "processor\t: 0\nmodel name\t: ARMv8 rev 4\nHardware\t: Qualcomm SM8550\n"
    assert named_in(intel) == "Fast CPU @ 3GHz: v2"
    assert named_in(phone) == "Qualcomm SM8550"
    assert named_in("nothing\n") == ""
    assert processor()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system cannot keep a process to a core")
def test_a_process_is_kept_to_some_cores_and_let_go_again() -> None:
    before = os.sched_getaffinity(0)
    with pinned(1):
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before
