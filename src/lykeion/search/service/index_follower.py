"""Following a name: where it refers to another index of the same embedder, that one is opened and takes over."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from lykeion.core import LykeionError
from lykeion.search.embedder import Embedder
from lykeion.search.embedder_engine import LITERT, EngineWish
from lykeion.search.index import EmbedderMismatch, Index
from lykeion.search.thumbnails import IN_INDEX, ThumbnailPlace

from .catalogue import Catalogue, open_catalogue
from .index_sources import IndexEdition, IndexSource
from .served_catalogue import ServedCatalogue

STOP_S = 2.0
"""A pull that takes longer is resumed by the next process."""
log = logging.getLogger("lykeion.search.service")


@contextmanager
def followed_catalogue(
    source: IndexSource,
    *,
    embedder: str | None = None,
    engine: EngineWish = LITERT,
    thumbnails: ThumbnailPlace = IN_INDEX,
    follow_s: float | None = None,
    swapped: Callable[[str], object] = lambda index: None,
) -> Iterator[ServedCatalogue]:
    """The catalogue of the index that ``source`` finds, and inside the context of those that it finds later.

    ``engine`` runs the embedder. ``follow_s``: seconds between two looks, if not the source's own. ``swapped`` is
    called with the id of each that takes over. Raises what ``open_catalogue``, Embedder.load and the source raise
    for the first.
    """

    def load(index: Index) -> Embedder | None:
        return Embedder.load(embedder, engine) if index.embedder or embedder else None

    edition = source.look()
    source.fetch(edition)
    with closing(ServedCatalogue(open_catalogue(edition, load, thumbnails))) as served:
        follower = IndexFollower(served, source, edition, thumbnails, swapped)
        with follower.at_work(follow_s or source.follow_s):
            yield served


class IndexFollower:
    def __init__(
        self,
        served: ServedCatalogue,
        source: IndexSource,
        edition: IndexEdition,
        thumbnails: ThumbnailPlace,
        swapped: Callable[[str], object],
    ) -> None:
        """``edition`` is the one that is served."""
        self._served, self._source, self._edition = served, source, edition
        self._thumbnails, self._swapped = thumbnails, swapped
        self._refused: IndexEdition | None = None
        """One that will never be served: it does not change."""
        self._stopping = threading.Event()

    @contextmanager
    def at_work(self, interval_s: float | None) -> Iterator[None]:
        """Look at this interval, in a thread; not at all if it is None."""
        if interval_s is None:
            yield
            return
        thread = threading.Thread(target=self._run, args=(interval_s,), name="index-follower", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join(STOP_S)

    def look(self) -> None:
        """Let the index take over that the name refers to now. If it cannot be served, the present one stays."""
        try:
            edition = self._source.look()
            if edition == self._refused:
                return
            if edition != self._edition:
                self._take(edition)
            self._served.problem = ""
        except Exception as error:  # whatever is wrong with another index, this one is served and the next looked for
            if str(error) != self._served.problem:
                unexpected = None if isinstance(error, LykeionError | OSError) else error
                log.warning("%s is still served: %s", self._served.id, error, exc_info=unexpected)
            self._served.problem = str(error) or type(error).__name__

    def _take(self, edition: IndexEdition) -> None:
        self._source.fetch(edition)
        try:
            catalogue = self._open(edition)
        except LykeionError:
            self._refused = edition if edition.read_only else None
            raise
        self._served.replace(catalogue)
        self._edition = edition
        self._swapped(edition.id)

    def _open(self, edition: IndexEdition) -> Catalogue:
        with self._served.lease() as present:
            return open_catalogue(edition, lambda index: _same_vectors(edition, index, present), self._thumbnails)

    def _run(self, interval_s: float) -> None:
        while not self._stopping.wait(interval_s):
            self.look()


def _same_vectors(edition: IndexEdition, index: Index, present: Catalogue) -> Embedder | None:
    """The present embedder. Raises EmbedderMismatch if queries for the present index do not fit the other."""
    for what in ("embedder", "dimension", "metric"):
        if (holds := getattr(index, what)) != (wanted := getattr(present.index, what)):
            raise EmbedderMismatch.of(edition.uri, what, holds, wanted)
    return present.embedder
