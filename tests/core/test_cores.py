"""How many cores are kept busy follows affinity and the quotas of control groups, as the system's files give them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lykeion.core import core_count, usable_cores

Files = dict[str, str]


@pytest.fixture
def count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Files], int]:
    """The count of a machine with 16 usable cores and these files."""
    monkeypatch.setattr("lykeion.core.cores.usable_cores", lambda: tuple(range(16)))

    def count(files: Files) -> int:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("latin-1"))
        return core_count(tmp_path)

    return count


def v2(*quotas: str) -> Files:
    """A group within a group and so on, with these quotas from the root's down."""
    names = [f"g{depth}" for depth in range(1, len(quotas))]
    files = {"proc/self/cgroup": f"0::/{'/'.join(names)}\n"}
    for depth, quota in enumerate(quotas):
        files["/".join(["sys/fs/cgroup", *names[:depth], "cpu.max"])] = quota
    return files


def v1(group: str, quota: str, period: str = "100000\n", *, at: str = "") -> Files:
    return {
        "proc/self/cgroup": f"9:memory:/other\n4:cpu,cpuacct:{group}\n1:name=systemd:/else\n0::/\n",
        f"sys/fs/cgroup/cpu{at or group}/cpu.cfs_quota_us": quota,
        f"sys/fs/cgroup/cpu{at or group}/cpu.cfs_period_us": period,
    }


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 16),
        (v2("max 100000\n"), 16),
        (v2("200000 100000\n"), 2),
        (v2("max 100000\n", "150000 100000\n"), 2),
        (v2("max 100000\n", "10000 100000\n"), 1),
        (v2("max 100000\n", "300000 100000\n", "max 100000\n", "900000 100000\n"), 3),
        (v2("9900000 100000\n"), 16),
        (v1("/jobs/a", "400000\n"), 4),
        (v1("/jobs/a", "50000\n", "25000\n"), 2),
        (v1("/jobs/a", "-1\n"), 16),
        (v1("/docker/0123", "300000\n", at="/"), 3),
    ],
)
def test_the_least_quota_counts_rounded_up(count: Callable[[Files], int], files: Files, expected: int) -> None:
    assert count(files) == expected


@pytest.mark.parametrize(
    "text", ["", "max", "200000", "0 100000", "100000 0", "-5 100000", "2 1 1", "é ÿ", f"{'9' * 4000} 1", "9" * 9000]
)
def test_a_quota_that_cannot_be_read_is_none(count: Callable[[Files], int], text: str) -> None:
    assert count(v2(text)) == 16


@pytest.mark.parametrize("line", ["", "0", "0:", "::", "0::", "0::/..", "4:cpu:/\0", "4:cpu:" + "/a" * 2100, "\xff"])
def test_a_list_of_groups_that_cannot_be_read_limits_nothing(count: Callable[[Files], int], line: str) -> None:
    assert count({"proc/self/cgroup": line}) == 16


def test_affinity_counts_where_it_is_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lykeion.core.cores.usable_cores", lambda: (3,))
    assert core_count(tmp_path) == 1


def test_this_machine_has_at_least_one_core() -> None:
    assert 1 <= core_count() <= len(usable_cores())
