"""Inference: tensors or photos in, tensors or classes out."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from lykeion.web_kit import ErrorAnswer, StrictRoute, Uploads, Workers, documented

from .classification import top_classes
from .content_encoding import decompressed
from .errors import BadInferRequest, LacksPart, OutOfTime
from .infer_messages import message_schema
from .infer_request import MAX_CLASSES, InferRequest, read_request
from .infer_response import write_response
from .metadata_routes import model_paths
from .model_signature import ModelSignature
from .row_queue import Outputs, together
from .served_model import ServedModel
from .tensor_data import aligned

JSON_LENGTH = "Inference-Header-Content-Length"
DIGEST = "Model-Digest"
SMALL_JSON, SMALL_BODY = 16 << 10, 2 << 20
"""Up to these sizes requests are read, and responses written, by the event loop: a switch of threads takes longer."""


class LabelledScore(BaseModel):
    label: str
    index: int
    score: float


class ClassesAnswer(BaseModel):
    model_config = ConfigDict(protected_namespaces=())

    model_name: str
    model_version: str
    classes: list[LabelledScore]


def infer_routes(model: ServedModel, workers: Workers, uploads: Uploads, photos_prepared: Counter) -> APIRouter:
    """``uploads`` counts the memory that decompressed bodies take."""
    routes = APIRouter(tags=["inference"])
    about = {"model_name": model.name, "model_version": model.version}

    async def infer(request: Request) -> Response:
        json_bytes = _json_bytes(request)
        async with _body(request, workers, uploads) as parts:
            size = sum(map(len, parts))
            small = size <= SMALL_BODY and (size if json_bytes is None else json_bytes) <= SMALL_JSON
            read = partial(_read, parts, json_bytes, model.signature)
            query = read() if small else await workers.run(read)
            found = await _in_time(query)
        write = partial(write_response, query, found, model.signature, model.labels, about)
        large = sum(found[each.name].nbytes for each in query.outputs if not each.binary) > SMALL_JSON
        answer = await workers.run(write) if large else write()
        headers = {DIGEST: model.version}
        if answer.json_bytes is None:
            return Response(answer.body, headers=headers, media_type="application/json")
        headers[JSON_LENGTH] = str(answer.json_bytes)
        return Response(answer.body, headers=headers, media_type="application/octet-stream")

    async def classify(
        request: Request, k: Annotated[int, Query(ge=1, le=MAX_CLASSES, description="How many classes.")] = 5
    ) -> JSONResponse:
        if not model.signature.labelled:
            raise LacksPart(f"{model.name} has no labels to classify by; use /infer")
        photo = await request.body()
        found = await model.run(await _prepared(photo, "the photo"))
        scores = model.signature.output(model.signature.labelled).spec.decode(found[model.signature.labelled])
        classes = [
            {"label": each.label, "index": each.index, "score": float(each.score)}
            for each in top_classes(scores, k, model.labels)[0]
        ]
        return JSONResponse({**about, "classes": classes}, headers={DIGEST: model.version})

    for path, checks in model_paths(model):
        routes.add_api_route(f"{path}/infer", infer, methods=["POST"], dependencies=checks, **_INFER)
        routes.add_api_route(
            f"{path}/classify",
            classify,
            methods=["POST"],
            dependencies=checks,
            route_class_override=StrictRoute,
            **_CLASSIFY,
        )

    async def _in_time(query: InferRequest) -> Outputs:
        try:
            async with asyncio.timeout(query.timeout_s):
                return await (_of_photos(query.photos) if query.photos else model.run(*query.values))
        except TimeoutError:
            raise OutOfTime(f"the request's timeout of {query.timeout_s:g} s is over") from None

    async def _of_photos(photos: Sequence[bytes]) -> Outputs:
        """A few photos at a time: a small photo is a large tensor, and other requests can run in between."""
        parts: list[Outputs] = []
        for start in range(0, len(photos), model.photos_at_once):
            some = photos[start : start + model.photos_at_once]
            rows = await asyncio.gather(*(_prepared(each, f"photo {start + n}") for n, each in enumerate(some)))
            parts.append(await model.run(np.concatenate(rows)))
        return together(parts)

    async def _prepared(photo: bytes, name: str) -> np.ndarray:
        row = await workers.run(model.prepare, photo, name)
        photos_prepared.inc()
        return row

    return routes


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_INFER: dict[str, Any] = {
    "summary": "Run the model",
    "description": "A request of the Open Inference Protocol v2: JSON, and after it tensors as binary data, where "
    f"{JSON_LENGTH} gives the size of the JSON. An input of datatype BYTES holds photos.",
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": message_schema()}, "application/octet-stream": _BINARY},
        }
    },
    "response_class": Response,
    "responses": {
        **documented(404, 501),
        200: {"content": {"application/json": {"schema": {"type": "object"}}, "application/octet-stream": _BINARY}},
        415: {"model": ErrorAnswer, "description": "The Content-Encoding is unknown."},
    },
}
_CLASSIFY: dict[str, Any] = {
    "summary": "The most likely classes of a photo",
    "description": "The body is the photo as it is in its file. The score is the output's own number.",
    "openapi_extra": {"requestBody": {"required": True, "content": {"image/*": _BINARY}}},
    "response_model": ClassesAnswer,
    "responses": documented(404, 501),
}


@asynccontextmanager
async def _body(request: Request, workers: Workers, uploads: Uploads) -> AsyncIterator[list[bytes]]:
    """The body in parts, decompressed if it is compressed. Raises HTTPException."""
    parts = [part async for part in request.stream()]
    encoding = request.headers.get("content-encoding", "")
    if not encoding:
        yield parts
        return
    parts = [await workers.run(decompressed, b"".join(parts), encoding, uploads.limit)]
    size = len(parts[0])
    refusal = uploads.take(size, 0)
    try:
        if refusal:
            raise HTTPException(refusal.status, refusal.message, dict(refusal.headers))
        yield parts
    finally:
        uploads.free(size)


def _read(parts: list[bytes], json_bytes: int | None, model: ModelSignature) -> InferRequest:
    """Raises BadInferRequest. Removes the parts, which would be held, beside what they make, until the answer."""
    body = aligned(parts, json_bytes or 0)
    parts.clear()
    return read_request(body, json_bytes, model)


def _json_bytes(request: Request) -> int | None:
    """Raises BadInferRequest."""
    given = request.headers.getlist(JSON_LENGTH)
    if not given:
        return None
    if len(given) > 1 or not (given[0].isascii() and given[0].isdecimal()) or len(given[0]) > 18:
        raise BadInferRequest(f"{JSON_LENGTH} is {', '.join(given)[:64]!r}; give the size of the JSON in bytes")
    return int(given[0])
