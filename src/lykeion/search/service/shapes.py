"""JSON shapes of requests and answers."""

from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    TypeAdapter,
    model_validator,
)

from lykeion.search.index import MAX_ID_BYTES, MAX_NAME_BYTES
from lykeion.web_kit import is_unknown

from .bounds import MAX_ITEMS, MAX_K, MAX_OFFSET, MAX_PHOTOS, MAX_WHERE_CHARACTERS

FLOAT32_MAX = float(np.finfo(np.float32).max)


def _fits_bytes(text: str) -> str:
    if len(text.encode()) > MAX_ID_BYTES:
        raise ValueError(f"an id has at most {MAX_ID_BYTES} bytes")
    return text


Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_ID_BYTES), AfterValidator(_fits_bytes)]
Where: TypeAlias = Annotated[
    str | None,
    Field(max_length=MAX_WHERE_CHARACTERS, description="Filter expression, as `price < 5000 and category = 'bags'`."),
]
K: TypeAlias = Annotated[int, Field(ge=1, le=MAX_K, description="How many answers.")]
Offset: TypeAlias = Annotated[int, Field(ge=0, le=MAX_OFFSET, description="How many answers to skip: paging.")]
Vector: TypeAlias = Annotated[
    list[Annotated[float, Field(ge=-FLOAT32_MAX, le=FLOAT32_MAX, allow_inf_nan=False)]],
    Field(min_length=1, max_length=65_536),
]
Finite: TypeAlias = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Integer: TypeAlias = Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
AttributeValue: TypeAlias = StrictBool | Integer | Finite | StrictStr | list[StrictStr] | list[Finite] | None
Attributes: TypeAlias = Annotated[
    dict[str, AttributeValue],
    Field(description="String, number, boolean, null or a list; timestamps as ISO 8601 strings with an offset."),
]


ColumnName: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_NAME_BYTES)]


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _knows(cls, given: Any) -> Any:
        if isinstance(given, dict) and (unknown := given.keys() - cls.model_fields.keys()):
            raise ValueError(is_unknown(str(min(unknown)), cls.model_fields))
        return given


class SearchRequest(Request):
    where: Where = None
    k: K = 20
    offset: Offset = 0


class VectorSearch(SearchRequest):
    vector: Vector
    embedder: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="The digest of the vector's embedder: an index of another one answers 409."
    )


class IdSearch(SearchRequest):
    id: Id


class Item(Request):
    """A product with the vectors of its photos, one or more."""

    id: Id
    vectors: Annotated[list[Vector], Field(min_length=1, max_length=MAX_PHOTOS)]
    attributes: Attributes = {}


def _each_once(items: list[Any]) -> list[Any]:
    ids = [item.id for item in items]
    if len(set(ids)) < len(ids):
        raise ValueError("an id is there twice; a product comes once, with all its photos")
    return items


class PutItems(Request):
    items: Annotated[list[Item], Field(min_length=1, max_length=MAX_ITEMS), AfterValidator(_each_once)]


class PhotographedItem(Request):
    """A product whose photos come with the same request; each is named by its part's file name."""

    id: Id
    photos: Annotated[list[str], Field(min_length=1, max_length=MAX_PHOTOS)]
    attributes: Attributes = {}


PHOTOGRAPHED_ITEMS = TypeAdapter(
    Annotated[list[PhotographedItem], Field(min_length=1, max_length=MAX_PHOTOS), AfterValidator(_each_once)]
)


class ChangedItem(Request):
    id: Id
    attributes: Attributes


class PatchItems(Request):
    items: Annotated[list[ChangedItem], Field(min_length=1, max_length=MAX_ITEMS), AfterValidator(_each_once)]


class ChangeColumn(Request):
    name: ColumnName
    rename: ColumnName | None = None
    retype: Literal["string", "integer", "number", "boolean", "timestamp", "strings", "numbers"] | None = None
    clear: bool = Field(default=False, description="With retype: values that do not fit become null.")


class ColumnsAnswer(BaseModel):
    columns: dict[str, str] = Field(description="All columns and their types, afterwards.")
    cleared: int = Field(description="How many products lost a value that does not fit.")


class ShownItem(BaseModel):
    id: str
    photo: str = Field(description="Which of the product's photos is meant; the nearest, in an answer.")
    attributes: dict[str, Any]
    thumbnail: str | None = Field(description="Where its thumbnail is, if the service keeps them.")


class Answer(ShownItem):
    score: float = Field(description="Cosine (larger is nearer), or squared distance where the metric is l2.")


IndexId = Annotated[str, Field(description="The index that answered: its directory's name, or its digest.")]


class SearchAnswer(BaseModel):
    index: IndexId
    results: list[Answer]
    next_offset: int | None = Field(description="Offset of the next page; null where this is the last.")
    vector: list[float] | None = Field(
        default=None,
        description="The photo's vector, if asked for: for more pages and filters without sending it again.",
    )


class SampleAnswer(BaseModel):
    index: IndexId
    results: list[ShownItem]
    by: str | None = Field(description="The attribute whose values take turns; null where none divides the products.")


class StoredItem(BaseModel):
    id: str
    photos: list[str]
    attributes: dict[str, Any]
    vectors: list[list[float]] | None = None


class ItemsAnswer(BaseModel):
    items: list[StoredItem]
    missing: list[str] = Field(description="Ids asked for that are not in the index.")


class Changed(BaseModel):
    changed: int = Field(description="How many products were there and are changed.")


class CountAnswer(BaseModel):
    count: int


class StatsAnswer(BaseModel):
    index: IndexId
    since: str = Field(description="Since when this index is served, in ISO 8601.")
    products: int
    photos: int
    dimension: int
    metric: str
    embedder: str
    columns: dict[str, str]
    details: dict[str, Any]
    searches_photos: bool = Field(description="False where the vectors came from elsewhere: search by vector or id.")
    embedding: dict[str, Any] | None = Field(
        description="Which engine embeds photos, in which precision, the least cosine of its vectors to LiteRT's on "
        "generated photos, and, if it is fast, the share of the exact vectors' answers that it finds."
    )


class Health(BaseModel):
    status: str


class IndexHealth(Health):
    index: IndexId
    since: str = Field(description="Since when this index is served, in ISO 8601.")
    problem: str | None = Field(description="Why another index, which --index names now, is not served.")
