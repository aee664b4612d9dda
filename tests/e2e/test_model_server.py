"""``lykeion serve --model`` as a person starts it, asked by unmodified clients and by hostile ones."""

import json
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from tests.model_server.tiny import LABELS, logits, png, rows, write_files

from .serving import COMMAND, serving
from .test_openapi import statuses_of

CLIENTS = Path(__file__).parents[2] / "build" / "clients" / "bin" / "python"
needs_clients = pytest.mark.skipif(not CLIENTS.exists(), reason="make clients installs them")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file with its card and labels; what is measured is remembered for all tests."""
    directory = tmp_path_factory.mktemp("model")
    (directory / "labels.txt").write_text("\n".join(LABELS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LYKEION_HOME", str(directory))
        yield write_files(directory)


@contextmanager
def served(model: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    labels = ("--labels", str(model.parent / "labels.txt"))
    with serving(model, *labels, *options, kind="--model") as (process, url):
        yield process, urlsplit(url).netloc


def asked(kind: str, address: str, x: np.ndarray, directory: Path) -> dict[str, Any]:
    np.save(directory / "x.npy", x)
    script = Path(__file__).with_name("protocol_clients.py")
    done = subprocess.run(
        [CLIENTS, script, kind, address, directory / "x.npy"], stdout=subprocess.PIPE, check=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@needs_clients
def test_tritonclient_is_answered_in_each_of_its_ways(model: Path, tmp_path: Path) -> None:
    x = rows(3)
    with served(model) as (_, address):
        found = asked("triton", address, x, tmp_path)
    assert [found[name] for name in ("live", "ready", "model ready", "other ready")] == [True, True, True, False]
    assert found["server"]["name"] == "lykeion"
    assert found["model"]["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 8, 8, 3]}]
    ways = ("plain", "version", "gzip", "deflate", *(f"binary {a} {b}" for a in (True, False) for b in (True, False)))
    for way in ways:
        np.testing.assert_allclose(found[way], logits(x), rtol=1e-4, atol=1e-6, err_msg=way)
    for each in found["several"]:
        np.testing.assert_allclose(each, logits(x), rtol=1e-4, atol=1e-6)
    best = np.argsort(-logits(x), axis=1)[:, :2]
    for way in ("classes True", "classes False"):
        assert [[text.split(":")[1:] for text in row] for row in found[way]] == [
            [[str(n), LABELS[n]] for n in row] for row in best
        ]
    assert found["photo"] == [1, 1]
    assert found["id"] == "42"
    assert found["error"] == ["404", "no model 'other' is served; there is tiny"]


@needs_clients
def test_kserves_client_is_answered(model: Path, tmp_path: Path) -> None:
    x = rows(2)
    with served(model) as (_, address):
        found = asked("kserve", address, x, tmp_path)
    assert [found[name] for name in ("live", "ready", "model ready", "other ready")] == [True, True, True, False]
    for way in ("binary True", "binary False"):
        np.testing.assert_allclose(found[way], logits(x), rtol=1e-4, atol=1e-6)


def post(address: str, path: str, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    connection = HTTPConnection(address, timeout=60)
    connection.request("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_neither_a_training_framework_nor_any_other_engine_is_loaded_and_nothing_is_printed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path))  # where no choice is remembered
    with served(model) as (process, address):
        assert post(address, "/v2/models/tiny/classify", png())[0] == 200
        engine = json.loads(urlopen(f"http://{address}/v2/models/tiny").read())["parameters"]["engine"]
        mapped = Path(f"/proc/{process.pid}/maps")
        if mapped.exists():
            libraries = mapped.read_text()
            ours = "ai_edge_litert" if engine.startswith("litert") else engine
            for name in ("ai_edge_litert", "tensorflow/", "onnxruntime", "openvino"):
                assert (name in libraries) == (name == ours)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_told_to_stop_it_answers_what_it_was_asked_takes_no_more_and_ends_well(model: Path) -> None:
    with served(model) as (process, address):
        host, port = address.split(":")
        head = f"POST /v2/models/tiny/classify HTTP/1.1\r\nHost: {address}\r\nContent-Length: {len(png())}\r\n\r\n"
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode() + png()[:100])
            until_in_flight(address, 2)
            process.send_signal(signal.SIGTERM)
            while accepts(host, int(port)):
                pass
            connection.sendall(png()[100:])
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        assert process.wait(30) == 0


def until_in_flight(address: str, count: int) -> None:
    """The request for metrics is one of them."""
    while f"lykeion_requests_in_flight {count}.0" not in urlopen(f"http://{address}/metrics").read().decode():
        pass


def accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 5).close()
    except OSError:
        return False
    return True


def test_many_clients_at_once_are_each_given_their_own_rows(model: Path) -> None:
    with served(model, "--per-client", "200", "--max-batch", "4") as (_, address):
        wrong: list[Any] = []

        def ask(number: int) -> None:
            connection = HTTPConnection(address, timeout=60)
            for turn in range(20):
                x = rows(1 + (number + turn) % 3, seed=100 * number + turn)
                given = {"name": "image", "shape": list(x.shape), "datatype": "FP32"}
                text = json.dumps({"inputs": [{**given, "parameters": {"binary_data_size": x.nbytes}}]}).encode()
                headers = {"Inference-Header-Content-Length": str(len(text))}
                connection.request("POST", "/v2/models/tiny/infer", text + x.tobytes(), headers)
                answer = json.loads(connection.getresponse().read())
                if not np.allclose(answer["outputs"][0]["data"], logits(x).reshape(-1), rtol=1e-4, atol=1e-6):
                    wrong.append(answer)

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


def test_a_client_that_goes_away_in_the_middle_of_its_body_is_no_error(model: Path) -> None:
    with served(model) as (process, address):
        host, port = address.split(":")
        for path in ("infer", "classify"):
            head = f"POST /v2/models/tiny/{path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 1000\r\n\r\n"
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(head.encode() + b"{")
                until_in_flight(address, 2)
            until_in_flight(address, 1)
        process.terminate()
        assert process.stderr is not None
        assert process.stderr.read() == ""


HOSTILE = [
    (b"{" * 1_000_000, {}),
    (b'{"inputs":' + b"[" * 1_000_000, {}),
    (b'{"inputs":[{"name":"image","shape":[1,8,8,3],"datatype":"FP32","data":' + b"[" * 1_000_000, {}),
    (b'{"inputs":[{"name":"image","shape":[1,8,8,3],"datatype":"FP32","data":[1e999]}]}', {}),
    (b'{"inputs":[{"name":"image","shape":[1099511627776,8,8,3],"datatype":"FP32","data":[1]}]}', {}),
    (b'{"inputs":[{"name":"image","shape":[256,8,8,3],"datatype":"FP32","data":[1]}]}', {}),
    (b'{"inputs":[{"name":"\\ud800","shape":[1],"datatype":"FP32","data":[1]}]}', {}),
    (b"\xff" * 100, {"Inference_Header_Content_Length": "50"}),
    (b"\xff" * 100, {"Inference_Header_Content_Length": "0"}),
    (b"x", {"Inference_Header_Content_Length": "999999999999999999999999"}),
    (b"\x1f\x8b" + b"\0" * 100, {"Content_Encoding": "gzip"}),
]


def test_hostile_bodies_are_refused_in_one_line_and_the_next_request_is_answered(model: Path) -> None:
    with served(model) as (process, address):
        for body, headers in HOSTILE:
            status, answer = post(address, "/v2/models/tiny/infer", body, **headers)
            assert status in (400, 413), answer
            assert len(answer["error"]) < 300
        assert post(address, "/v2/models/tiny/classify", png())[0] == 200
        process.terminate()
        assert process.stderr is not None
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--model", "MODEL", "--index", "x.index"), "leave out --index"),
        (("--index", "x.index", "--max-batch", "2"), "leave out --max-batch"),
        ((), "give --index INDEX, or --model MODEL"),
        (("--model", "./gone.tflite"), "no such model"),
        (("--model", "MODEL", "--engine", "gone"), "no engine is called 'gone'"),
        (("--model", "MODEL", "--host", "0.0.0.0"), "set an API token"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(model: Path, options: tuple[str, ...], says: str) -> None:
    given = [str(model) if option == "MODEL" else option for option in options]
    done = subprocess.run([*COMMAND, "serve", *given], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]


def test_no_request_made_up_from_the_description_breaks_the_server(model: Path) -> None:
    with served(model) as (_, address):
        schema = schemathesis.openapi.from_url(f"http://{address}/openapi.json")
        operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
        assert len(operations) == 14
        for operation in operations:
            for mode in GenerationMode:
                statuses_of(operation, mode)
