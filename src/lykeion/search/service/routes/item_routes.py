"""Reading and writing products in bulk. Ids are sent as query parameters or in bodies, which allow any character."""

from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, File, Form, Header, Query, UploadFile
from fastapi.responses import JSONResponse, Response
from prometheus_client import Counter
from pydantic import ValidationError

from lykeion.core import Invalid, NotFound, digest_bytes
from lykeion.search.service.bounds import MAX_ITEMS, MAX_PHOTOS
from lykeion.search.service.catalogue import Catalogue
from lykeion.search.service.served_catalogue import CatalogueCalls
from lykeion.search.service.shapes import (
    PHOTOGRAPHED_ITEMS,
    Changed,
    Id,
    ItemsAnswer,
    PatchItems,
    PhotographedItem,
    PutItems,
)
from lykeion.web_kit import StrictRoute, documented


class BadItems(Invalid):
    """Items that do not fit their shape, or the photos sent with them."""


Ids = Annotated[list[Id], Query(alias="id", min_length=1, max_length=MAX_ITEMS)]


def item_routes(calls: CatalogueCalls, photos_embedded: Counter) -> APIRouter:
    """Every change is on disk, and visible to every search, before the response is sent."""
    routes = APIRouter(prefix="/v1", tags=["items"], route_class=StrictRoute)

    @routes.get("/items", summary="Products by id", response_model=ItemsAnswer, responses=documented())
    async def get_items(id: Ids, vectors: bool = False) -> JSONResponse:
        return JSONResponse(await calls.run(Catalogue.get, id, vectors=vectors))

    @routes.put(
        "/items",
        summary="Put products by vectors",
        description="Each product is replaced whole: its photos and its attributes.",
        response_model=Changed,
        responses=documented(501),
    )
    async def put_items(body: PutItems) -> JSONResponse:
        return JSONResponse({"changed": await calls.run(Catalogue.put, body.items)})

    @routes.put(
        "/items/photos",
        summary="Put products by photos",
        description="All photos are read before anything is written: one bad photo, and nothing changes.",
        response_model=Changed,
        responses=documented(501),
    )
    async def put_photos(
        items: Annotated[str, Form(description='JSON: `[{"id": "A1", "photos": ["a.jpg"], "attributes": {}}]`')],
        photos: Annotated[list[UploadFile], File(max_length=MAX_PHOTOS, description="Named by their file names.")],
    ) -> JSONResponse:
        wanted = _photographed(items)
        uploads = _by_name(photos)
        names = {name for item in wanted for name in item.photos}
        if absent := sorted(names - uploads.keys()):
            raise BadItems(f"no photo with the file name {absent[0]!r} came with the request")
        embedded = {}
        for name in names:  # one at a time, so that searches can run in between
            embedded[name] = await calls.run(Catalogue.embed, await uploads[name].read(), name)
            photos_embedded.inc()
        return JSONResponse({"changed": await calls.run(Catalogue.put_embedded, wanted, embedded)})

    @routes.patch(
        "/items",
        summary="Change attributes",
        description="Attributes given are set, null removes one, others stay. Unknown ids are passed over.",
        response_model=Changed,
        responses=documented(501),
    )
    async def patch_items(body: PatchItems) -> JSONResponse:
        return JSONResponse({"changed": await calls.run(Catalogue.update, body.items)})

    @routes.delete("/items", summary="Delete products", response_model=Changed, responses=documented(501))
    async def delete_items(id: Ids) -> JSONResponse:
        return JSONResponse({"changed": await calls.run(Catalogue.delete, id)})

    @routes.get(
        "/thumbnail",
        summary="The small picture of a product's photo",
        response_class=Response,
        responses={**documented(404), 200: {"content": {"image/jpeg": {}}}, 304: {"description": "As you know it."}},
    )
    async def thumbnail(
        id: Annotated[Id, Query()],
        photo: Annotated[str, Query(max_length=512)] = "",
        if_none_match: Annotated[str, Header()] = "",
    ) -> Response:
        picture = await calls.run(Catalogue.thumbnail, id, photo)
        if picture is None:
            raise NotFound(f"no small picture of {id!r}")
        tag = f'"{digest_bytes(picture)[7:39]}"'
        headers = {"Cache-Control": "private, max-age=300", "ETag": tag}
        if tag in if_none_match:
            return Response(status_code=304, headers=headers)
        return Response(picture, media_type="image/jpeg", headers=headers)

    return routes


def _by_name(photos: list[UploadFile]) -> dict[str, UploadFile]:
    """By the names as sent, and as they were before a client percent-encoded them: browsers send %22."""
    sent: dict[str, UploadFile] = {}
    for photo in photos:
        name = photo.filename or ""
        if name in sent:
            raise BadItems(f"two photos have the file name {name!r}")
        sent[name] = photo
    return {unquote(name): photo for name, photo in sent.items()} | sent


def _photographed(text: str) -> list[PhotographedItem]:
    try:
        return PHOTOGRAPHED_ITEMS.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in ("items", *first["loc"]))
        raise BadItems(f"{place}: {first['msg']}") from None
