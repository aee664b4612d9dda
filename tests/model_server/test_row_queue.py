"""Rows of requests, as engines take them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lykeion.model_server.engine_lanes import divided, joined
from lykeion.model_server.row_queue import RowPlan, RowQueue, WaitingRequest


def request(first: int, count: int) -> WaitingRequest:
    """Rows that are numbered."""
    return WaitingRequest((np.arange(first, first + count, dtype=np.float32)[:, None],))


PLANS = st.builds(lambda least, more: RowPlan(least + more, least), st.integers(2, 5), st.integers(0, 4)) | st.just(
    RowPlan()
)


@given(st.lists(st.integers(1, 9), max_size=8), PLANS, st.integers(1, 3), st.randoms())
def test_every_row_is_run_once_in_order_and_answered_to_its_own_request(counts, plan, idle, random) -> None:
    queue, requests, first = RowQueue(), [], 0
    for count in counts:
        requests.append(request(first, count))
        queue.add(requests[-1])
        first += count
    taken = []
    while waiting := queue.rows:
        pieces = queue.take(plan.rows(waiting, idle))
        assert 1 <= sum(piece.rows for piece in pieces) <= plan.together
        taken.append(pieces)
    assert [row for pieces in taken for piece in pieces for row in piece.values[0][:, 0]] == list(range(first))
    random.shuffle(taken)  # engines end in any order
    for pieces in taken:
        (values,) = joined(pieces, plan.together)
        assert len(values) == plan.together
        for piece, outputs in zip(pieces, divided({"y": 2 * values}, pieces), strict=True):
            piece.request.give(piece.first, piece.rows, outputs)
    for each in requests:
        assert each.future.result(0)["y"].tolist() == (2 * each.values[0]).tolist()


def test_too_few_rows_for_a_batch_are_taken_one_by_one() -> None:
    plan = RowPlan(together=8, least=3)
    assert [plan.rows(waiting, 1) for waiting in (1, 2, 3, 8, 20)] == [1, 1, 3, 8, 8]


def test_idle_engines_share_what_waits() -> None:
    plan = RowPlan(together=8, least=3)
    assert [plan.rows(8, idle) for idle in (1, 2, 4)] == [8, 4, 1]


def test_rows_that_nobody_waits_for_are_not_run() -> None:
    queue, gone, other = RowQueue(), request(0, 3), request(3, 1)
    queue.add(gone)
    queue.add(other)
    assert queue.take(1)[0].request is gone
    gone.future.cancel()
    assert queue.rows == 1
    assert queue.take(8)[0].request is other


def test_of_a_request_of_which_one_row_failed_no_other_is_run() -> None:
    queue, failed = RowQueue(), request(0, 3)
    queue.add(failed)
    queue.take(1)
    failed.fail(ValueError())
    failed.fail(ValueError())
    assert queue.rows == 0
    assert isinstance(failed.future.exception(0), ValueError)


def test_one_request_that_fills_the_batch_is_not_copied() -> None:
    queue, whole = RowQueue(), request(0, 4)
    queue.add(whole)
    (values,) = joined(queue.take(4), 4)
    assert np.shares_memory(values, whole.values[0])
