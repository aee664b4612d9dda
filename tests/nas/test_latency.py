from dataclasses import replace

import numpy as np
import pytest

from lykeion.engines.choosing import DeviceProfile, ProfileError, write_profile
from lykeion.nas import LatencyError, LatencyTable, find_profile, find_space, judge, kendall_tau, pixel1
from lykeion.nas.devices.latency import fit, spearman_rho
from tests.nas.published import PUBLISHED_SINGLE_PATH


def test_the_published_network_costs_80_4_ms_on_a_pixel_1() -> None:
    table = LatencyTable(find_space("single-path"), pixel1())
    assert table.total(PUBLISHED_SINGLE_PATH) == pytest.approx(80.4, abs=0.05)


def test_the_small_twin_is_costed_by_the_published_table_position_by_position() -> None:
    table = LatencyTable(find_space("single-path-32"), pixel1())
    assert table.total(PUBLISHED_SINGLE_PATH) == pytest.approx(80.4, abs=0.05)


def test_a_networks_latency_is_the_rest_and_its_blocks_with_the_coefficients_in_them() -> None:
    space = find_space("single-path")
    table = LatencyTable(space, replace(pixel1(), scale=1.1, offset_ms=-0.5))
    blocks = sum(table.of(slot, choice) for slot, choice in zip(space.slots, PUBLISHED_SINGLE_PATH, strict=True))
    bare = LatencyTable(space, pixel1()).total(PUBLISHED_SINGLE_PATH)
    assert table.total(PUBLISHED_SINGLE_PATH) == pytest.approx(table.rest + blocks)
    assert table.total(PUBLISHED_SINGLE_PATH) == pytest.approx(1.1 * bare - 0.5)


def test_skipping_costs_nothing() -> None:
    space = find_space("single-path")
    assert LatencyTable(space, pixel1()).of(space.slots[3], None) == 0


def test_a_profile_of_another_space_is_refused() -> None:
    with pytest.raises(LatencyError, match=r"'single-path', not 'mobilenetv3'.*lykeion nas profile"):
        LatencyTable(find_space("mobilenetv3"), pixel1())


def test_a_profile_that_lacks_a_block_is_refused_by_its_name() -> None:
    whole = pixel1()
    lacking = replace(whole, table={key: ms for key, ms in whole.table.items() if key != "7/k5e6"})
    with pytest.raises(LatencyError, match="'7/k5e6'"):
        LatencyTable(find_space("single-path"), lacking)


def test_a_profile_by_which_nothing_takes_less_than_no_time_is_refused() -> None:
    with pytest.raises(LatencyError, match=r"what all networks share takes -6.* µs: the machine was too busy"):
        LatencyTable(find_space("single-path"), replace(pixel1(), offset_ms=-pixel1().rest_ms - 0.063))


def test_a_device_is_a_file_or_pixel1(tmp_path) -> None:
    mine: DeviceProfile = replace(pixel1(), name="mine")
    write_profile(mine, tmp_path / "mine.json")
    assert find_profile(str(tmp_path / "mine.json")) == mine
    assert find_profile("pixel1") == pixel1()
    with pytest.raises(ProfileError, match="no-such"):
        find_profile("no-such.json")


def test_a_fit_finds_the_coefficients_that_measured_latencies_were_made_with() -> None:
    predicted = np.linspace(0.05, 0.3, 12)
    found = fit(predicted, 1.2 * predicted + 0.01)
    assert (found.scale, found.offset_ms) == (pytest.approx(1.2), pytest.approx(0.01))


def test_a_fit_says_how_far_it_is_off() -> None:
    assert fit([1, 2, 3, 4], [2, 4, 6, 8]).fit_error == pytest.approx(0)
    assert fit([1, 2, 3, 4], [2, 5, 5, 9]).fit_error > 0.05


def test_a_fit_needs_networks_that_differ() -> None:
    with pytest.raises(LatencyError, match="three"):
        fit([1.0, 2.0], [1.0, 2.0])
    with pytest.raises(LatencyError, match="different"):
        fit([1.0, 1.0, 1.0], [1.0, 2.0, 3.0])
    with pytest.raises(LatencyError, match="too busy"):
        fit([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])


def test_a_judgement_counts_errors_and_ranks() -> None:
    judged = judge([1.0, 2.19, 3.0, 4.0], [1.0, 2.0, 3.1, 4.8])
    assert judged.networks == 4
    assert judged.within_10_percent == 0.75
    assert judged.worst == pytest.approx(1 - 4 / 4.8)
    assert (judged.spearman_rho, judged.kendall_tau) == (pytest.approx(1), pytest.approx(1))


def test_rank_correlations_agree_with_values_worked_out_by_hand() -> None:
    first, second = np.array([1, 2, 3, 4, 5.0]), np.array([1, 3, 2, 5, 4.0])
    assert spearman_rho(first, second) == pytest.approx(1 - 6 * 4 / (5 * 24))
    assert kendall_tau(first, second) == pytest.approx((8 - 2) / 10)
    tied = np.array([1, 1, 2, 3, 4.0])  # ranks 1.5, 1.5, 3, 4, 5; one tied pair of ten
    assert kendall_tau(tied, first) == pytest.approx(9 / np.sqrt(9 * 10))
    assert np.isnan(spearman_rho(np.ones(3), first[:3]))
