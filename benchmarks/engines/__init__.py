"""The engines compared: ours and its peers, each behind the same few methods, one file a library.

An engine's library is imported when the engine is made, so that the others can be measured without it.
"""

from importlib import import_module
from typing import cast

from .protocol import Engine, Setting

ENGINES = {
    "lykeion": "ours:Lykeion",
    "lykeion hnsw": "ours:LykeionHNSW",
    "lykeion, AVX2": "ours:Lykeion",
    "lykeion exact": "ours:LykeionExact",
    "lykeion with 1,000 new rows": "ours:LykeionWithTail",
    "faiss HNSW16 flat": "faiss_hnsw:FaissFlat",
    "faiss HNSW16 SQ8": "faiss_hnsw:FaissSQ8",
    "faiss HNSW16 SQ8, AVX2": "faiss_hnsw:FaissSQ8",
    "hnswlib": "hnswlib_hnsw:HnswlibHNSW",
    "usearch f16": "usearch_hnsw:USearch",
    "pyglass HNSW32": "pyglass:Pyglass32",
    "pyglass HNSW16": "pyglass:Pyglass16",
    "VSAG HGraph": "vsag:VSAG",
    "NGT ONNG": "ngt:ONNG",
    "zvec": "zvec_hnsw:Zvec",
    "LanceDB": "lancedb_hnsw:LanceDB",
    "qdrant-edge": "qdrant:QdrantEdge",
}

ENVIRONMENTS = {
    "lykeion, AVX2": {"LYKEION_KERNEL": "baseline"},
    "faiss HNSW16 SQ8, AVX2": {"FAISS_OPT_LEVEL": "avx2"},
}
"""Variables that select narrower instructions than the processor has, of those engines that may be told."""


def engine(name: str) -> Engine:
    """Raises ImportError where its library is not installed."""
    module, _, member = ENGINES[name].partition(":")
    return cast(Engine, getattr(import_module(f"engines.{module}"), member)())


__all__ = ["ENGINES", "ENVIRONMENTS", "Engine", "Setting", "engine"]
