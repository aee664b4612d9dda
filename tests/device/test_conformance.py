"""The suite of theupdateframework/tuf-conformance: run where there is a checkout of it, its cases listed anywhere.

TUF_CONFORMANCE=/path/to/tuf-conformance python -m pytest tests/device/test_conformance.py
"""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

CLIENT = Path(__file__).with_name("conformance_client.py")
CASES = {
    "test_basic_metadata_hash_support": "test_a_snapshot_of_the_right_version_but_other_content_is_refused",
    "test_basic_refresh_requests": "test_what_is_current_is_not_fetched_again",
    "test_basic_refresh_trusted_data": "test_what_is_kept_are_the_bytes_that_were_signed",
    "test_custom_fields": "test_a_device_reads_what_delivery_publishes",
    "test_faketime": "test_freeze",
    "test_implicit_refresh": "test_a_device_reads_what_delivery_publishes",
    "test_incorrect_metadata_type": "test_metadata_of_another_kind_is_refused_even_if_the_key_is_right",
    "test_invalid_initial_root": "test_software_without_a_root_is_refused",
    "test_metadata_bytes_match": "test_what_is_kept_are_the_bytes_that_were_signed",
    "test_snapshot_404": "test_an_update_goes_on_where_it_was_interrupted",
    "test_snapshot_hash_mismatch": "test_a_snapshot_of_the_right_version_but_other_content_is_refused",
    "test_targets_404": "test_an_update_goes_on_where_it_was_interrupted",
    "test_targets_hash_mismatch": "test_compromise_of_one_role_does_not_put_another_file_on_a_device",
    "test_timestamp_404": "test_an_update_goes_on_where_it_was_interrupted",
    "test_timestamp_content_changes": "test_a_second_timestamp_of_one_version_is_not_taken",
    "test_unsigned_initial_root": "test_software_without_a_root_is_refused",
    "test_unsigned_metadata": "test_wrong_key",
    "test_url_and_metadata_version_mismatch": (
        "test_an_older_snapshot_under_a_newer_ones_name_is_refused_without_hashes_too"
    ),
    "test_expired_local_root": "test_two_years_offline_across_five_root_rotations",
    "test_expired_local_timestamp": "test_expired_while_an_update_was_half_done",
    "test_root_expired": "test_an_expired_root_stops_updates",
    "test_snapshot_expired": "test_each_role_that_has_expired_stops_updates",
    "test_targets_expired": "test_each_role_that_has_expired_stops_updates",
    "test_timestamp_expired": "test_freeze",
    "test_duplicate_keys": "test_a_key_counts_once_however_often_it_signs",
    "test_duplicate_sig_keyids": "test_a_key_counts_once_however_often_it_signs",
    "test_invalid_sig_in_valid_metadata": "test_wrong_key",
    "test_snapshot_does_not_meet_threshold": "test_one_of_two_root_keys_signs_no_root",
    "test_snapshot_has_too_few_keys": "test_one_of_two_root_keys_signs_no_root",
    "test_unusual_role_name": "test_a_role_whose_name_leaves_the_directory_is_kept_inside",
    "test_new_snapshot_fast_forward_recovery": "test_fast_forward_and_recovery",
    "test_new_timestamp_fast_forward_recovery": "test_fast_forward_and_recovery",
    "test_new_timestamp_version_rollback": "test_rollback",
    "test_snapshot_rollback": "test_compromise_of_the_timestamp_does_not_bring_back_an_older_snapshot",
    "test_targets_fast_forward_recovery": "test_fast_forward_and_recovery",
    "test_targets_role_removal": "test_a_role_does_not_leave_the_snapshot",
    "test_targets_rollback": "test_rollback_of_one_role_by_a_thief_of_the_online_keys",
    "test_cached_role_is_verified_against_current_delegator": (
        "test_delegations_are_searched_in_preorder_up_to_a_terminating_one"
    ),
    "test_delegation_not_in_snapshot": "test_a_role_does_not_leave_the_snapshot",
    "test_graph_traversal": "test_delegations_are_searched_in_preorder_up_to_a_terminating_one",
    "test_targetfile_search": "test_a_path_that_leaves_its_folder_is_no_target",
    "test_non_root_rotations": "test_fast_forward_and_recovery",
    "test_root_rotation": "test_a_root_that_only_new_keys_have_signed_is_refused",
    "test_keytype_and_scheme": "test_a_root_key_of_each_kind_is_believed_and_a_wrong_signature_by_it_is_not",
    "test_deprecated_keyid_hash_algorithms": (
        "test_a_field_of_a_key_that_the_specification_does_not_have_changes_nothing"
    ),
    "test_client_downloads_expected_file": "test_a_download_goes_on_where_it_ended",
    "test_client_downloads_expected_file_in_sub_dir": "test_a_download_goes_on_where_it_ended",
    "test_repository_substitutes_target_file": "test_other_content_of_the_size_that_was_signed_is_thrown_away",
    "test_multiple_changes_to_target": "test_other_content_of_the_size_that_was_signed_is_thrown_away",
    "test_artifact_cache": "test_the_same_file_in_a_new_version_is_not_downloaded_again",
    "test_download_with_hash_algorithms": "test_a_target_that_is_signed_without_a_sha256_digest_is_refused",
    "test_download_with_unknown_hash_algorithm": ("test_a_target_that_is_signed_without_a_sha256_digest_is_refused"),
}
"""By its case, our test of the same promise. 4 of the 56 are left out: three of the suite's own simulator, and one of
repositories that others have made (test_static_repository), of which we have no copy."""
OURS = ("test_trust", "test_root_keys", "test_downloads", "test_model_update")


def test_each_case_is_a_test_of_ours_too() -> None:
    ours = {name for module in OURS for name in dir(import_module(f"tests.device.{module}"))}
    assert len(CASES) == 56 - 4
    assert [name for name in CASES.values() if name not in ours] == []


@pytest.mark.slow
@pytest.mark.skipif("TUF_CONFORMANCE" not in os.environ, reason="needs a checkout of tuf-conformance")
def test_the_suite_passes(tmp_path: Path) -> None:
    """``faketime`` is replaced by a program that hands the time to the client, which takes it as an argument."""
    programs = {
        "client": f'#!/bin/sh\nexec {sys.executable} {CLIENT} "$@"\n',
        "faketime": '#!/bin/sh\nexport FAKE_NOW="$1"; shift; exec "$@"\n',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tuf_conformance", "--entrypoint", str(tmp_path / "client")],
        cwd=os.environ["TUF_CONFORMANCE"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5_000:]
