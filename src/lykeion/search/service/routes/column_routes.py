"""Columns of the index: their types and names. A name is sent as a query parameter or in a body, as ids are."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from lykeion.search.service.catalogue import Catalogue
from lykeion.search.service.served_catalogue import CatalogueCalls
from lykeion.search.service.shapes import ChangeColumn, ColumnName, ColumnsAnswer
from lykeion.web_kit import StrictRoute, documented


def column_routes(calls: CatalogueCalls) -> APIRouter:
    """Other writes wait while a column is changed; searches continue."""
    routes = APIRouter(prefix="/v1", tags=["columns"], route_class=StrictRoute)

    @routes.patch(
        "/columns",
        summary="Change the type or the name of a column",
        description="Give `rename` or `retype`. Each value becomes the one that has the same text. If one does not "
        "fit, nothing changes, unless `clear` lets such values become null.",
        response_model=ColumnsAnswer,
        responses=documented(404, 501),
    )
    async def change_column(body: ChangeColumn) -> JSONResponse:
        return JSONResponse(await calls.run(Catalogue.change_column, body))

    @routes.delete(
        "/columns",
        summary="Drop a column",
        response_model=ColumnsAnswer,
        responses=documented(404, 501),
    )
    async def drop_column(name: Annotated[ColumnName, Query()]) -> JSONResponse:
        return JSONResponse(await calls.run(Catalogue.drop_column, name))

    return routes
