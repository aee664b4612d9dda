"""A Milvus server, which the package milvus brings, as a process of its own, with its files in a directory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def milvus_server(directory: Path) -> Iterator[str]:
    """Yields its host and port once it answers. The directory, which takes 450 MB, is removed with it."""
    from milvus import MilvusServer, MilvusServerConfig  # pyright: ignore[reportMissingImports] - it is not everywhere

    server = MilvusServer(MilvusServerConfig(data_dir=str(directory)))
    try:
        server.start()
        yield f"{server.server_address}:{server.listen_port}"
    finally:
        server.stop()
        server.cleanup()
