"""Which servers of Milvus are supported. The same is in docs/milvus.md."""

import re

from lykeion.core import Unsupported

OLDEST, NEWEST = (2, 3, 5), (2, 6)


def check_version(version: str, uri: str) -> None:
    """Raises Unsupported for another version, as a server gives it: ``v2.3.5-lite``, ``2.6.1``."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    numbers = tuple(int(number or 0) for number in found.groups()) if found else ()
    if numbers < OLDEST or numbers[:2] > NEWEST:
        raise Unsupported(f"{uri} is Milvus {version or 'of an unknown version'}; 2.3.5 to 2.6 are supported")
