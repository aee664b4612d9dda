"""Random flags for random units: GrowthBook's client for Python decides as we do, on conditions and on units.

The client for JavaScript is in tests/e2e.
"""

from tests.delivery.flag_agreement import compare


def test_the_client_for_python_decides_as_we_do() -> None:
    report = compare(units=60, flags=15, seed=7, node=None)
    assert report["varied"] > report["decisions"] / 10
    assert (report["matching"], report["python"]) == (0, 0)
