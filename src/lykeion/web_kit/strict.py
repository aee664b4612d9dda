"""Routes that refuse unknown parameters instead of silently ignoring them."""

import difflib
import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any, get_origin
from urllib.parse import unquote_to_bytes

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

EXTENDED_NAME = re.compile(rb";\s*filename\*=\s*\"?UTF-8'[^']*'([^;\"\s]+)\"?", re.IGNORECASE)


def is_unknown(name: str, known: Collection[str]) -> str:
    """The message for a name that is not among the known ones."""
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}" if known else "none is known here"
    return f"{name[:64]!r} is unknown; {hint}"


class StrictRoute(APIRoute):
    """Refuses unknown query parameters and form fields, and duplicates of single-valued ones, with status 422.

    Each part of a form may be as large as the body, which the guard limits. File names may also come as
    ``filename*``, which some clients send in violation of RFC 7578.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            _refuse_unknown("query", request.query_params.multi_items(), self.dependant.query_params)
            form = _FormRequest(request.scope, request.receive)
            form.fields = self.dependant.body_params
            return await handle(form)

        return handle_strictly


class _FormRequest(Request):
    fields: list[Any]

    async def form(self, **_: Any) -> FormData:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Replaces Starlette's; any exception but HTTPException becomes FastAPI's 400."""
        try:
            if self.headers.get("content-type", "").lower().startswith("multipart/form-data"):
                form = await _Parts(self.headers, self.stream(), max_part_size=sys.maxsize).parse()
            else:
                form = await super().form(max_part_size=sys.maxsize)
        except MultiPartException as error:
            raise HTTPException(400, error.message) from None
        except OSError as error:
            raise HTTPException(503, f"no room for what was sent: {error.strerror}") from None
        _refuse_unknown("form", form.multi_items(), self.fields)
        return form


class _Parts(MultiPartParser):
    def on_headers_finished(self) -> None:
        part = self._current_part
        if part.content_disposition and (name := EXTENDED_NAME.search(part.content_disposition)):
            plain = re.sub(rb'["\\]', rb"\\\g<0>", unquote_to_bytes(name[1]))
            part.content_disposition = EXTENDED_NAME.sub(b"", part.content_disposition) + b'; filename="%s"' % plain
        super().on_headers_finished()


def _refuse_unknown(place: str, given: Iterable[tuple[str, object]], fields: Iterable[Any]) -> None:
    repeatable = {field.alias: get_origin(field.field_info.annotation) is list for field in fields}
    for name, times in Counter(name for name, _ in given).items():
        if name not in repeatable:
            raise HTTPException(422, f"{place}: {is_unknown(name, repeatable)}")
        if times > 1 and not repeatable[name]:
            raise HTTPException(422, f"{place}: {name!r} comes {times} times; it is one")
