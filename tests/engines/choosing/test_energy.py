from pathlib import Path

import pytest

from lykeion.engines.choosing import Rapl, modelled


def test_energy_is_counted_from_operations_and_bytes() -> None:
    energy = modelled(10**6, 10**3, 10**4, "float32")
    assert energy.compute_uj == pytest.approx(4.6)
    assert energy.weights_uj == pytest.approx(0.1625)
    assert energy.activations_uj == pytest.approx(0.125)
    assert modelled(10**6, 0, 0, "int8").total_uj == pytest.approx(0.3)


def test_counters_that_begin_anew_are_read_right(tmp_path: Path) -> None:
    package = tmp_path / "intel-rapl:0"
    (package / "intel-rapl:0:0").mkdir(parents=True)
    (package / "max_energy_range_uj").write_text("999\n")
    (package / "energy_uj").write_text("990\n")
    rapl = Rapl(tmp_path)
    assert rapl.readable
    assert rapl.measure_uj(lambda: (package / "energy_uj").write_text("40\n"), 0) == 50
    assert not Rapl(tmp_path / "none").readable
