"""The names in a pod of the volumes that its template asks for. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import sha256
from itertools import count

LIMIT_CHARACTERS = 63
DIGEST_CHARACTERS = 8


def names_in_pod(volumes: Iterable[str]) -> Mapping[str, str]:
    """By the names of the volumes: DNS labels that differ, none of which is that of a volume of ours.

    A name is cut where it is too long, and gets a digest only where another would then be the same: with two of the
    same, no pod was ever made, so that no template of a running Deployment changes by an upgrade.
    """
    cut = {name: _cut(f"own-{name}", LIMIT_CHARACTERS) for name in volumes}
    shared = {each for each, number in Counter(cut.values()).items() if number > 1}
    taken = set(cut.values()) - shared
    for name in sorted(cut):
        if cut[name] in shared:
            cut[name] = next(each for each in (_digested(name, salt) for salt in count()) if each not in taken)
            taken.add(cut[name])
    return cut


def _digested(name: str, salt: int) -> str:
    digest = sha256(f"{name}\0{salt}".encode()).hexdigest()[:DIGEST_CHARACTERS]
    return f"{_cut(f'own-{name}', LIMIT_CHARACTERS - DIGEST_CHARACTERS - 1)}-{digest}"


def _cut(name: str, limit: int) -> str:
    return name[:limit].rstrip("-")
