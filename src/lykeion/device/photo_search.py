"""A photo search service asked from a device: by vector where the index is of the model's space, else by photo."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lykeion.core import Refused, Unavailable, first_line, parse_json

if TYPE_CHECKING:
    import urllib3

MAX_ANSWER_BYTES = 16 << 20
PHOTO_SIDE = 1_024
"""Pixels of the longer side, or up to a third more, of a photo that is sent, without its metadata."""
_CONNECT_S, _READ_S = 5.0, 30.0


class SearchUnavailable(Unavailable):
    """The search service cannot be reached, or does not answer as it should."""


class SpaceChanged(SearchUnavailable):
    """The index is of another embedding space by now."""


class PhotoMustStay(Refused):
    """The index is of another space than the model, and photos may not leave this device."""


@dataclass(slots=True)
class PhotoSearch:
    """The service at ``address``, asked with ``token`` if it is not empty."""

    address: str
    token: str = ""
    _space: str = field(default="", init=False)
    _pool: "urllib3.PoolManager | None" = field(default=None, init=False)

    def space(self, *, again: bool = False) -> str:
        """The embedding space of the index, asked once, or ``again``. Raises SearchUnavailable."""
        if again or not self._space:
            self._space = str(self._call("GET", "/v1/stats").get("embedder", ""))
        return self._space

    def by_vector(self, vector: np.ndarray, space: str, k: int, where: str | None) -> dict[str, Any]:
        """The service's answer: ``results`` with ``id``, ``score`` and ``attributes``, best first.

        Raises SpaceChanged if the index is not of this ``space``.
        """
        query = {"vector": [float(x) for x in vector], "embedder": space, "k": k, "where": where}
        body = json.dumps(query).encode()
        return self._call("POST", "/v1/search/vector", body, {"Content-Type": "application/json"})

    def by_photo(self, jpeg: bytes, k: int, where: str | None) -> dict[str, Any]:
        from urllib3.filepost import encode_multipart_formdata

        fields = {"photo": ("photo.jpg", jpeg, "image/jpeg"), "k": str(k)} | ({"where": where} if where else {})
        body, kind = encode_multipart_formdata(fields)
        return self._call("POST", "/v1/search/photo", body, {"Content-Type": kind})

    def _call(
        self, method: str, call: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        import urllib3

        url = self.address.rstrip("/") + call
        token = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        self._pool = self._pool or urllib3.PoolManager(retries=False)
        limits = urllib3.Timeout(connect=_CONNECT_S, read=_READ_S)
        try:
            answer = self._pool.request(
                method, url, body=body or None, headers={**token, **(headers or {})}, timeout=limits, redirect=False,
                preload_content=False,
            )  # fmt: skip
            try:
                said = answer.read(MAX_ANSWER_BYTES + 1)
            finally:
                answer.close()
        except urllib3.exceptions.HTTPError as error:
            raise SearchUnavailable(f"{url}: {first_line(error)}") from None
        found = parse_json(said, SearchUnavailable, "answer", where=f"{url}: ", limit=MAX_ANSWER_BYTES)
        if answer.status == 409:
            raise SpaceChanged(f"{url}: {str(found.get('error', found))[:200]}")
        if answer.status != 200:
            raise SearchUnavailable(
                f"{url}: the service answers {answer.status}: {str(found.get('error', found))[:200]}"
            )
        return found
