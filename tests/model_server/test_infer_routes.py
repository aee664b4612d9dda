"""Inference over HTTP, in memory; tests/e2e/test_model_server.py asks a process by unmodified clients."""

import gzip
import json
import zlib
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from lykeion.model_server import ServedModel
from lykeion.model_server.infer_routes import DIGEST as HEADER
from lykeion.model_server.infer_routes import JSON_LENGTH
from lykeion.model_server.tensor_data import strings_to_binary
from lykeion.vision import decode, normalise
from lykeion.web_kit import ServerSettings

from .conftest import asking
from .tiny import CARD, DIGEST, LABELS, logits, png, rows, served, source

INFER, CLASSIFY = "/v2/models/tiny/infer", "/v2/models/tiny/classify"
SHAPE = [8, 8, 3]


def message(values: np.ndarray, **more: Any) -> dict[str, Any]:
    data = values.reshape(-1).tolist()
    return {"inputs": [{"name": "image", "shape": list(values.shape), "datatype": "FP32", "data": data}], **more}


def binary(values: np.ndarray, **more: Any) -> tuple[bytes, dict[str, str]]:
    """Body and headers."""
    given = {"name": "image", "shape": list(values.shape), "datatype": "FP32"}
    text = json.dumps({"inputs": [{**given, "parameters": {"binary_data_size": values.nbytes}}], **more}).encode()
    return text + values.tobytes(), {JSON_LENGTH: str(len(text))}


def photo_input(*photos: bytes) -> tuple[bytes, dict[str, str]]:
    data = strings_to_binary(photos)
    given = {
        "name": "image",
        "shape": [len(photos)],
        "datatype": "BYTES",
        "parameters": {"binary_data_size": len(data)},
    }
    text = json.dumps({"inputs": [given]}).encode()
    return text + data, {JSON_LENGTH: str(len(text))}


def prepared(photo: bytes) -> np.ndarray:
    return normalise(decode(photo, at_least=CARD.at_least).pixels(CARD)[None], CARD)


def tensors(body: bytes, headers: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The binary outputs of a response."""
    length = int(headers[JSON_LENGTH])
    found, place = {}, length
    for each in json.loads(body[:length])["outputs"]:
        size = each["parameters"]["binary_data_size"]
        found[each["name"]] = np.frombuffer(body[place : place + size], "<f4").reshape(each["shape"])
        place += size
    assert place == len(body)
    return found


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_the_outputs_are_those_of_the_bare_engine_row_by_row(client: TestClient, count: int) -> None:
    answer = client.post(INFER, json=message(rows(count), id="42"))
    assert answer.status_code == 200
    (output,) = answer.json().pop("outputs")
    assert (output["name"], output["datatype"], output["shape"]) == ("logits", "FP32", [count, 4])
    np.testing.assert_allclose(output["data"], logits(rows(count)).reshape(-1), rtol=1e-5)
    known = {"model_name": "tiny", "model_version": DIGEST, "id": "42"}
    assert {name: answer.json()[name] for name in known} == known
    assert answer.headers[HEADER] == DIGEST
    assert JSON_LENGTH not in answer.headers


def test_binary_data_comes_and_goes(client: TestClient) -> None:
    body, headers = binary(rows(3), parameters={"binary_data_output": True})
    answer = client.post(INFER, content=body, headers=headers)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    np.testing.assert_allclose(tensors(answer.content, answer.headers)["logits"], logits(rows(3)), rtol=1e-5)


def test_a_body_without_json_is_one_row(client: TestClient) -> None:
    answer = client.post(INFER, content=rows(1).tobytes(), headers={JSON_LENGTH: "0"})
    np.testing.assert_allclose(tensors(answer.content, answer.headers)["logits"], logits(rows(1)), rtol=1e-5)


def test_nan_and_infinity_pass_as_binary_data_and_are_refused_in_json(client: TestClient) -> None:
    odd = np.full((1, *SHAPE), np.nan, np.float32)
    body, headers = binary(odd, parameters={"binary_data_output": True})
    answer = client.post(INFER, content=body, headers=headers)
    assert np.isnan(tensors(answer.content, answer.headers)["logits"]).all()
    body, headers = binary(odd)
    answer = client.post(INFER, content=body, headers=headers)
    assert answer.status_code == 400
    assert "binary_data" in answer.json()["error"]


def test_the_version_may_be_named(client: TestClient) -> None:
    assert client.post(f"/v2/models/tiny/versions/{DIGEST}/infer", json=message(rows(1))).status_code == 200
    for path in ("/v2/models/other", f"/v2/models/tiny/versions/{DIGEST[:-1]}", "/v2/models/tiny/versions/1"):
        for answer in (client.get(path), client.get(f"{path}/ready"), client.post(f"{path}/infer", json={})):
            assert answer.status_code == 404
            assert "tiny" in answer.json()["error"]


@pytest.mark.parametrize("binary_data", [True, False])
def test_classes_are_strings_of_score_index_and_label(client: TestClient, binary_data: bool) -> None:
    outputs = [{"name": "logits", "parameters": {"classification": 2, "binary_data": binary_data}}]
    answer = client.post(INFER, json=message(rows(2), outputs=outputs))
    if binary_data:
        length = int(answer.headers[JSON_LENGTH])
        (output,) = json.loads(answer.content[:length])["outputs"]
        strings = [part.decode() for part in _strings(answer.content[length:])]
    else:
        (output,) = answer.json()["outputs"]
        strings = output["data"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [2, 2])
    for row, found in zip(logits(rows(2)), (strings[:2], strings[2:]), strict=True):
        best = np.argsort(-row)[:2]
        assert [text.split(":")[1:] for text in found] == [[str(n), LABELS[n]] for n in best]
        np.testing.assert_allclose([float(text.split(":")[0]) for text in found], row[best], rtol=1e-5)


def _strings(data: bytes) -> list[bytes]:
    found = []
    while data:
        size = int.from_bytes(data[:4], "little")
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found


def test_photos_are_prepared_as_the_card_says(client: TestClient) -> None:
    photos = [png(seed) for seed in range(6)]  # more than are prepared at once
    body, headers = photo_input(*photos)
    answer = client.post(INFER, content=body, headers=headers).json()
    expected = logits(np.concatenate([prepared(photo) for photo in photos]))
    np.testing.assert_allclose(answer["outputs"][0]["data"], expected.reshape(-1), rtol=1e-4, atol=1e-6)


def test_a_photo_in_the_body_is_classified(client: TestClient) -> None:
    answer = client.post(f"{CLASSIFY}?k=3", content=png())
    assert answer.status_code == 200
    expected = logits(prepared(png()))[0]
    best = np.argsort(-expected)[:3]
    assert [(each["index"], each["label"]) for each in answer.json()["classes"]] == [(n, LABELS[n]) for n in best]
    np.testing.assert_allclose([each["score"] for each in answer.json()["classes"]], expected[best], rtol=1e-4)
    assert answer.headers[HEADER] == DIGEST


def test_what_is_no_photo_is_named(client: TestClient) -> None:
    assert client.post(CLASSIFY, content=b"no photo").status_code == 400
    body, headers = photo_input(*[png()] * 5, b"no photo", png())
    answer = client.post(INFER, content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("photo 5: ")


@pytest.mark.parametrize("query", ["k=0", "k=1001", "k=x", "top=3", "k=1&k=2"])
def test_a_query_that_is_not_understood_is_refused(client: TestClient, query: str) -> None:
    assert client.post(f"{CLASSIFY}?{query}", content=png()).status_code == 422


def test_without_a_card_photos_are_501_and_without_labels_classes_are() -> None:
    with closing(served(source(card=None))) as model, asking(model) as client:
        body, headers = photo_input(png())
        for answer in (client.post(INFER, content=body, headers=headers), client.post(CLASSIFY, content=png())):
            assert answer.status_code == 501
            assert "model card" in answer.json()["error"]
    with closing(served(source(labels=()))) as model, asking(model) as client:
        answer = client.post(CLASSIFY, content=png())
        assert answer.status_code == 501
        assert "labels" in answer.json()["error"]


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_body_is_read(client: TestClient, encoding: str, compress: Any) -> None:
    body, headers = binary(rows(2))
    headers |= {"Content-Encoding": encoding}
    assert client.post(INFER, content=compress(body), headers=headers).status_code == 200
    assert client.post(INFER, content=body, headers=headers).status_code == 400
    assert client.post(INFER, content=body, headers=headers | {"Content-Encoding": "br"}).status_code == 415


def test_a_body_that_decompresses_to_more_than_is_allowed_is_413(model: ServedModel) -> None:
    with asking(model, ServerSettings(max_body_bytes=10_000)) as client:
        headers = {"Content-Encoding": "gzip"}
        for _ in range(20):  # and what it took is free again
            assert client.post(INFER, content=gzip.compress(bytes(10_001)), headers=headers).status_code == 413
        body, sizes = binary(rows(1))
        assert client.post(INFER, content=gzip.compress(body), headers=headers | sizes).status_code == 200


@pytest.mark.parametrize("length", ["-1", "1e3", "", "٣", "9" * 19, " ", "0x10", "100000"])
def test_a_length_of_the_json_that_is_none_is_400(client: TestClient, length: str) -> None:
    body, _ = binary(rows(1))
    answer = client.post(INFER, content=body, headers=[(JSON_LENGTH, length.encode())])
    assert answer.status_code == 400


def test_two_lengths_of_the_json_are_400(client: TestClient) -> None:
    body, headers = binary(rows(1))
    answer = client.post(INFER, content=body, headers=[*headers.items(), *headers.items()])
    assert answer.status_code == 400


def test_the_requests_own_time_is_kept(client: TestClient) -> None:
    body, headers = photo_input(png())
    length = int(headers[JSON_LENGTH])
    text = json.dumps(json.loads(body[:length]) | {"parameters": {"timeout": 1}}).encode()
    answer = client.post(INFER, content=text + body[length:], headers={JSON_LENGTH: str(len(text))})
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert "1e-06 s" in answer.json()["error"]


def test_a_busy_server_says_when_to_retry(model: ServedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.batcher, "_waiting", -2)
    with asking(model) as client:
        answer = client.post(INFER, json=message(rows(1)))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_metadata_tells_tensors_version_and_what_the_server_can(client: TestClient) -> None:
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data", "classification", "parameters"]
    for path in ("/v2/models/tiny", f"/v2/models/tiny/versions/{DIGEST}"):
        found = client.get(path).json()
        assert found["name"] == "tiny"
        assert found["versions"] == [DIGEST]
        assert found["platform"] == "litert_tflite"
        assert found["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, *SHAPE]}]
        assert found["outputs"] == [{"name": "logits", "datatype": "FP32", "shape": [-1, 4]}]


def test_health_needs_no_token_and_all_else_does(model: ServedModel) -> None:
    token = "0123456789abcdef"
    with asking(model, ServerSettings(token=token)) as client:
        for path in ("/v2/health/live", "/v2/health/ready", "/healthz", "/readyz"):
            assert client.get(path).json()["live"] is True
        for path in ("/v2", "/v2/models/tiny", "/v2/models/tiny/ready", "/metrics"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert client.post(INFER, json=message(rows(1))).status_code == 401


def test_a_page_of_another_site_cannot_ask(client: TestClient) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        assert client.post(INFER, json=message(rows(1)), headers=headers).status_code == 403


def test_metrics_tell_requests_batches_and_the_model(client: TestClient) -> None:
    client.post(INFER, json=message(rows(1)))
    client.post("/v2/models/" + "x" * 50 + "/infer", json={})
    text = client.get("/metrics").text
    for line in (
        'lykeion_request_seconds_count{method="POST",route="/v2/models/{name}/infer",status="200"}',
        'lykeion_request_seconds_count{method="POST",route="/v2/models/{name}/infer",status="404"}',
        'lykeion_batch_rows_bucket{le="1.0"}',
        "lykeion_engine_seconds_count",
        "lykeion_requests_waiting 0.0",
        "lykeion_photos_prepared_total",
        f'lykeion_model_info{{engine="litert",name="tiny",version="{DIGEST}"}} 1.0',
    ):
        assert line in text, line
    assert "xxx" not in text
