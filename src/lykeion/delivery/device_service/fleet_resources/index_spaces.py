"""The embedding spaces of the indexes that devices search: vectors of another one would find nothing there."""

from collections.abc import Iterable

from lykeion.core import Unavailable, first_line, json_value

TIMEOUT_S = 10.0


class NoAnswer(Unavailable):
    """A search service does not say of which space its index is."""


def spaces_of(indexes: Iterable[str]) -> frozenset[str]:
    """Of indexes by their addresses, and of those of search services by their URLs, as they are now.

    Raises NoAnswer, and what opening an index raises.
    """
    return frozenset(_asked(each) if each.startswith(("http://", "https://")) else _opened(each) for each in indexes)


def _opened(address: str) -> str:
    from lykeion.search import open_index

    with open_index(address, "r") as index:
        return index.embedder


def _asked(url: str) -> str:
    import httpx

    try:
        answer = httpx.get(f"{url.rstrip('/')}/v1/stats", timeout=TIMEOUT_S).raise_for_status()
    except httpx.HTTPError as error:
        raise NoAnswer(f"{url}: {first_line(error)}") from None
    return str(json_value(answer.content, NoAnswer, "statistics", where=f"{url}: ").get("embedder", ""))
