"""The route of a search by photo, which reads a plain form by itself: FastAPI takes .8 ms to do it."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel, Field, ValidationError
from starlette.types import Message, Receive, Scope, Send

from lykeion.search.service.shapes import K, Offset, Where
from lykeion.web_kit import StrictRoute, read_plain_form


class PhotoForm(BaseModel):
    """The fields beside the photo."""

    box: str = Field("", max_length=64)
    where: Where = None
    k: K = 20
    offset: Offset = 0
    vector: bool = False


Answer = Callable[[Request, bytes, str, PhotoForm], Coroutine[Any, Any, Response]]


def photo_route(answer: Answer) -> type[StrictRoute]:
    """A route on which ``answer`` is called with the photo, its name and the form, if all is as it should be; else
    FastAPI reads the same request, and answers it or says what is wrong."""

    class PhotoRoute(StrictRoute):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._by_fastapi, self.app = self.app, self._answer

        async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, receive)
            body = await request.body()
            found = None if scope["query_string"] else _read(request.headers.get("content-type", ""), body)
            if found is None:
                await self._by_fastapi(scope, _again(body), send)
                return
            response = await answer(request, *found)
            await response(scope, receive, send)

    return PhotoRoute


def _read(content_type: str, body: bytes) -> tuple[bytes, str, PhotoForm] | None:
    parts = read_plain_form(content_type, body)
    photo = parts.pop("photo", None) if parts else None
    if parts is None or photo is None or photo.filename is None:
        return None
    if any(part.filename is not None or name not in PhotoForm.model_fields for name, part in parts.items()):
        return None
    try:
        form = PhotoForm.model_validate({name: part.content.decode() for name, part in parts.items()})
    except (ValidationError, UnicodeDecodeError):
        return None
    return photo.content, photo.filename, form


def _again(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
