"""What an embedder costs an index that is of another space: recall@10 of its vectors, measured before it is signed.

An int8 or pruned variant has a space of its own. Where its vectors find nearly what those of the index's own embedder
find, devices may search the index with it: its target has the index's space, and the price.
"""

import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lykeion.delivery.errors import DeliveryError
from lykeion.search import Embedder, open_index
from lykeion.vision import ModelCard, embedding_space, photo_suffixes

from .versions_fetched import NetworkFile

K = 10
MAX_QUERIES = 1_000


@dataclass(frozen=True)
class IndexSpace:
    """``index`` is an index's address, ``embedder`` the network that its vectors are of (the default one if None),
    ``queries`` a folder of photos. At least ``recall``, a share, is asked for."""

    index: str
    queries: Path
    embedder: Path | None = None
    recall: float = 0.95

    def price(self, network: NetworkFile) -> tuple[str, int]:
        """The index's space, and recall@10 in permille, or 0 for the index's own network.

        Raises DeliveryError below the bar, and what opening an index or an embedder raises.
        """
        card = card_of(network)
        with open_index(self.index, "r") as index:
            if embedding_space(network.content, card) == index.embedder:
                return index.embedder, 0
            reference = Embedder.load(self.embedder)
            if reference.digest != index.embedder:
                raise DeliveryError(f"{self.index}: its vectors are of another embedder than {reference.path}")
            if card.dimension != index.dimension:
                raise DeliveryError(f"{network.name}: vectors of {card.dimension}; the index has {index.dimension}")
            photos = query_photos(self.queries)
            truth = index.search(_vectors(reference, photos), K, attributes=False)
            with _loaded(network, card) as variant:
                found = index.search(_vectors(variant, photos), K, attributes=False)
        recall = recall_at_k(
            [[hit.id for hit in hits] for hits in truth], [[hit.id for hit in hits] for hits in found]
        )
        if recall < self.recall:
            raise DeliveryError(
                f"{network.name}: recall@{K} in {self.index} is {recall:.3f}, below {self.recall:.3f}"
            )
        return index.embedder, max(1, int(1_000 * recall))


def own_space(network: NetworkFile) -> tuple[str, int]:
    """That of the network itself; none for a classifier, or without a card."""
    if network.companion is None or network.companion.labels:
        return "", 0
    return embedding_space(network.content, network.companion.card), 0


def recall_at_k(truth: Sequence[Sequence[str]], found: Sequence[Sequence[str]]) -> float:
    """The mean share of each query's true answers that are found."""
    shares = [len(set(one) & set(other)) / len(one) for one, other in zip(truth, found, strict=True) if one]
    return float(np.mean(shares)) if shares else 0.0


def query_photos(directory: Path) -> list[Path]:
    """Raises DeliveryError."""
    suffixes = photo_suffixes()
    found = sorted(path for path in directory.rglob("*") if path.suffix.lower() in suffixes)[:MAX_QUERIES]
    if not found:
        raise DeliveryError(f"{directory}: no photos to measure recall with")
    return found


def card_of(network: NetworkFile) -> ModelCard:
    """Raises DeliveryError."""
    if network.companion is None:
        raise DeliveryError(f"{network.name}: an embedder needs a model card beside it")
    return network.companion.card


@contextmanager
def _loaded(network: NetworkFile, card: ModelCard) -> Generator[Embedder]:
    """A network as an embedder, which is read from a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, network.name)
        path.write_bytes(network.content)
        yield Embedder(path, card)


def _vectors(embedder: Embedder, photos: Sequence[Path]) -> np.ndarray:
    return np.stack([embedder.embed_photo(photo, name=str(photo)).vector for photo in photos])
