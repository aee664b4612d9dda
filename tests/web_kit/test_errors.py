import logging

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.testclient import TestClient

from lykeion.core import Conflict, Invalid, LykeionError, NotFound, Refused, Unavailable, Unsupported
from lykeion.oci import BlobMissing, RefMoved
from lykeion.search.index import EmbedderMismatch, IndexLocked, IndexReplaced, SchemaError
from lykeion.web_kit.error_families import STATUS_OF_FAMILY, status_of
from lykeion.web_kit.errors import ALWAYS, MEANING, answer_errors


class UnknownKey(KeyError, NotFound):
    """Of a family by its second base."""


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Invalid, 400),
        (Refused, 403),
        (NotFound, 404),
        (Conflict, 409),
        (Unsupported, 501),
        (Unavailable, 503),
        (LykeionError, 500),
        (SchemaError, 400),
        (UnknownKey, 404),
        (BlobMissing, 404),
        (RefMoved, 409),
        (EmbedderMismatch, 409),
        (IndexReplaced, 503),
        (IndexLocked, 503),
    ],
)
def test_an_error_is_answered_with_the_status_of_its_nearest_family(kind: type[LykeionError], status: int):
    assert status_of(kind("one line")) == status


def test_every_status_is_described():
    assert {*STATUS_OF_FAMILY.values(), *ALWAYS} <= MEANING.keys()


def client_of(error: Exception) -> TestClient:
    app = Starlette()

    async def fail(request: object) -> None:
        raise error

    app.add_route("/", fail)
    answer_errors(app)
    return TestClient(app, raise_server_exceptions=False)


def test_an_error_for_people_is_answered_in_one_line():
    response = client_of(Invalid("photo.jpg:\nnot a photo")).get("/")
    assert (response.status_code, response.json()) == (400, {"error": "photo.jpg: not a photo"})


def test_an_error_for_people_of_no_family_is_a_500_with_its_line():
    response = client_of(LykeionError("the disk says no")).get("/")
    assert (response.status_code, response.json()) == (500, {"error": "the disk says no"})


def test_what_may_be_available_later_says_when_to_ask_again():
    assert int(client_of(Unavailable("full")).get("/").headers["Retry-After"]) > 0
    assert "Retry-After" not in client_of(Conflict("moved")).get("/").headers


def test_any_other_error_is_a_500_without_detail_and_its_traceback_is_logged(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.ERROR, "lykeion.web_kit"):
        response = client_of(RuntimeError("secret path /etc/shadow")).get("/")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "secret path" in caplog.text
    assert "Traceback" in caplog.text


def test_a_frameworks_own_errors_are_answered_alike():
    response = client_of(HTTPException(405, "no", {"Allow": "GET"})).get("/")
    assert (response.status_code, response.json(), response.headers["Allow"]) == (405, {"error": "no"}, "GET")


def test_a_client_that_went_away_is_not_logged_as_a_failure(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.ERROR, "lykeion.web_kit"):
        assert client_of(ClientDisconnect()).get("/").status_code == 400
    assert caplog.records == []
