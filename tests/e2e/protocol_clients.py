"""Unmodified clients of the Open Inference Protocol, in an environment of their own (``make clients``)::

    build/clients/bin/python tests/e2e/protocol_clients.py triton|kserve HOST:PORT INPUTS.npy

prints as JSON what they were answered.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

MODEL = "tiny"
PHOTO = Path(__file__).parents[1] / "photos" / "china.jpg"


def triton(address: str, x: np.ndarray) -> dict[str, Any]:
    import tritonclient.http as http
    from tritonclient.utils import InferenceServerException

    def given(binary: bool) -> list[Any]:
        one = http.InferInput("image", list(x.shape), "FP32")
        one.set_data_from_numpy(x, binary_data=binary)
        return [one]

    def asked(**settings: Any) -> list[Any]:
        return [http.InferRequestedOutput("logits", **settings)]

    def tensor(result: Any) -> list[Any]:
        return result.as_numpy("logits").tolist()

    with http.InferenceServerClient(address, concurrency=4) as client:
        version = client.get_model_metadata(MODEL)["versions"][0]
        found: dict[str, Any] = {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model ready": client.is_model_ready(MODEL, version),
            "other ready": client.is_model_ready("other"),
            "server": client.get_server_metadata(),
            "model": client.get_model_metadata(MODEL, version),
            "plain": tensor(client.infer(MODEL, given(True))),
            "version": tensor(client.infer(MODEL, given(True), model_version=version)),
        }
        for inputs in (True, False):
            for outputs in (True, False):
                answer = client.infer(MODEL, given(inputs), outputs=asked(binary_data=outputs), request_id="42")
                found[f"binary {inputs} {outputs}"] = tensor(answer)
                found["id"] = answer.get_response()["id"]
        for how in ("gzip", "deflate"):
            compression = {"request_compression_algorithm": how, "response_compression_algorithm": how}
            found[how] = tensor(client.infer(MODEL, given(True), **compression))
        for binary in (True, False):
            classes = client.infer(MODEL, given(True), outputs=asked(binary_data=binary, class_count=2))
            found[f"classes {binary}"] = [
                [bytes(each).decode() if binary else each for each in row] for row in classes.as_numpy("logits")
            ]
        photo = http.InferInput("image", [1], "BYTES")
        photo.set_data_from_numpy(np.array([PHOTO.read_bytes()], dtype=object))
        found["photo"] = client.infer(MODEL, [photo], outputs=asked(class_count=1)).as_numpy("logits").shape
        several = [client.async_infer(MODEL, given(True), timeout=10_000_000) for _ in range(8)]
        found["several"] = [tensor(each.get_result()) for each in several]
        try:
            client.infer("other", given(True))
        except InferenceServerException as error:
            found["error"] = [error.status(), error.message()]
    return found


async def kserve(address: str, x: np.ndarray) -> dict[str, Any]:
    from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig

    url = f"http://{address}"
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    found: dict[str, Any] = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model ready": await client.is_model_ready(url, MODEL),
        "other ready": await client.is_model_ready(url, "other"),
    }
    for binary in (True, False):
        one = InferInput("image", list(x.shape), "FP32")
        one.set_data_from_numpy(x, binary_data=binary)
        asked = {"binary_data_output": True} if binary else None
        answer = await client.infer(url, InferRequest(MODEL, [one], parameters=asked), model_name=MODEL)
        found[f"binary {binary}"] = answer.outputs[0].as_numpy().tolist()
    await client.close()
    return found


if __name__ == "__main__":
    kind, address, inputs = sys.argv[1:]
    values = np.load(inputs)
    print(json.dumps(triton(address, values) if kind == "triton" else asyncio.run(kserve(address, values))))
