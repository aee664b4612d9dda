"""Search: by photo, by vector, by the id of a product in the index."""

from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, File, Form, Query, Request, UploadFile
from fastapi.responses import JSONResponse
from prometheus_client import Counter

from lykeion.search.service.bounds import MAX_SAMPLE
from lykeion.search.service.catalogue import Catalogue, Page
from lykeion.search.service.served_catalogue import CatalogueCalls
from lykeion.search.service.shapes import (
    CountAnswer,
    IdSearch,
    K,
    Offset,
    SampleAnswer,
    SearchAnswer,
    VectorSearch,
    Where,
)
from lykeion.web_kit import StrictRoute, documented

from .photo_route import PhotoForm, photo_route


def add_photo_search(app: FastAPI, calls: CatalogueCalls, photos_embedded: Counter) -> None:
    """On the app itself and before its routers, because most requests are for it."""

    async def answer_photo(request: Request, photo: bytes, name: str, form: PhotoForm) -> JSONResponse:
        page = Page(form.where, form.k, form.offset)
        answer = await calls.run(Catalogue.search_photo, photo, name, form.box, page, vector=form.vector)
        photos_embedded.inc()
        return _answered(request, answer)

    async def search_photo(
        request: Request,
        photo: Annotated[UploadFile, File(description="A photo: JPEG, PNG, WebP …")],
        box: Annotated[
            str, Form(max_length=64, description="Part of the photo to search by: left,top,right,bottom in pixels.")
        ] = "",
        where: Annotated[Where, Form()] = None,
        k: Annotated[K, Form()] = 20,
        offset: Annotated[Offset, Form()] = 0,
        vector: Annotated[bool, Form(description="Answer with the photo's vector, too.")] = False,
    ) -> JSONResponse:
        form = PhotoForm(box=box, where=where, k=k, offset=offset, vector=vector)
        return await answer_photo(request, await photo.read(), photo.filename or "the photo", form)

    app.router.add_api_route(
        "/v1/search/photo",
        search_photo,
        methods=["POST"],
        tags=["search"],
        summary="The products nearest to a photo",
        response_model=SearchAnswer,
        responses=documented(501),
        route_class_override=photo_route(answer_photo),
    )


def search_routes(calls: CatalogueCalls) -> APIRouter:
    """Each search is one task of a worker: decode, embed, search, and shape the answers."""
    routes = APIRouter(prefix="/v1", tags=["search"], route_class=StrictRoute)

    @routes.post(
        "/search/vector",
        summary="The products nearest to a vector",
        response_model=SearchAnswer,
        responses=documented(409),
    )
    async def search_vector(request: Request, query: VectorSearch) -> JSONResponse:
        page = Page(query.where, query.k, query.offset)
        return _answered(request, await calls.run(Catalogue.search_vector, query.vector, page, query.embedder))

    @routes.post(
        "/search/id",
        summary="The products nearest to a product, itself left out",
        response_model=SearchAnswer,
        responses=documented(404),
    )
    async def search_id(request: Request, query: IdSearch) -> JSONResponse:
        page = Page(query.where, query.k, query.offset)
        return _answered(request, await calls.run(Catalogue.search_id, query.id, page))

    @routes.get(
        "/count",
        summary="How many products there are, or match a filter",
        response_model=CountAnswer,
        responses=documented(),
    )
    async def count(where: Annotated[Where, Query()] = None) -> JSONResponse:
        return JSONResponse({"count": await calls.run(Catalogue.count, where)})

    @routes.get(
        "/sample",
        summary="A few products to begin with, by category where an attribute tells categories",
        response_model=SampleAnswer,
        responses=documented(),
    )
    async def sample(
        request: Request,
        n: Annotated[int, Query(ge=1, le=MAX_SAMPLE, description="How many products.")] = 30,
        where: Annotated[Where, Query()] = None,
    ) -> JSONResponse:
        return _answered(request, await calls.run(Catalogue.sample, n, where))

    return routes


def _answered(request: Request, answer: dict[str, Any]) -> JSONResponse:
    """The answer, with thumbnails where the client finds them: below the prefix that a proxy has removed."""
    prefix = request.scope["root_path"]
    for result in answer["results"] if prefix else ():
        result["thumbnail"] = result["thumbnail"] and prefix + result["thumbnail"]
    return JSONResponse(answer)
