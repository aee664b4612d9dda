import pytest

from lykeion.web_kit.limits import BODIES_AT_ONCE, Clients, Uploads, refuse_length

LIMIT = 1_000


@pytest.mark.parametrize(
    ("lengths", "encodings", "status"),
    [
        ([], [], None),
        ([], ["chunked"], None),
        (["0"], [], None),
        (["1000"], [], None),
        (["01000"], [], None),
        (["1001"], [], 413),
        (["9" * 5_000], [], 413),
        (["+5"], [], 400),
        (["-5"], [], 400),
        (["5 "], [], 400),
        (["5,5"], [], 400),
        (["0x5"], [], 400),
        (["5_0"], [], 400),
        (["5.0"], [], 400),
        ([""], [], 400),
        (["\u00b2"], [], 400),
        (["\u0665"], [], 400),
        (["5", "5"], [], 400),
        (["5", "6"], [], 400),
        (["5"], ["chunked"], 400),
        (["5"], ["identity"], 400),
    ],
)
def test_a_length_is_one_number_within_the_limit(lengths: list[str], encodings: list[str], status: int | None):
    refusal = refuse_length(lengths, encodings, LIMIT)
    assert (refusal and refusal.status) == status
    assert refusal is None or refusal.headers["Connection"] == "close"


def test_a_body_in_pieces_is_refused_at_the_piece_that_is_too_much():
    uploads = Uploads(LIMIT)
    assert uploads.take(600, 0) is None
    refusal = uploads.take(401, 600)
    assert refusal is not None
    assert refusal.status == 413


def test_bodies_that_together_hold_too_much_are_refused_until_others_are_done():
    uploads = Uploads(LIMIT)
    assert not any(uploads.take(LIMIT, 0) for _ in range(BODIES_AT_ONCE))
    refusal = uploads.take(1, 0)
    assert refusal is not None
    assert refusal.status == 503
    uploads.free(1)
    uploads.free(LIMIT)
    assert uploads.take(LIMIT, 0) is None


def test_each_client_has_places_of_its_own():
    clients = Clients(2)
    assert [clients.enter("a"), clients.enter("a"), clients.enter("b")] == [None] * 3
    refusal = clients.enter("a")
    assert refusal is not None
    assert refusal.status == 429
    clients.leave("a")
    assert clients.enter("a") is None


def test_clients_who_are_gone_take_no_memory():
    clients = Clients(1)
    for number in range(100):
        clients.enter(str(number))
        clients.leave(str(number))
    assert len(clients.under_way) == 0
