"""References in an index: names for manifests, kept as an annotation of the entry. Pure functions over entries."""

from dataclasses import replace

from .descriptor import REF_NAME, Descriptor
from .errors import RefMoved

Entries = tuple[Descriptor, ...]

ANY = "any"
"""For ``expect``: any current target of the reference."""


def ref_of(entry: Descriptor) -> str | None:
    """The reference of an index's entry."""
    return entry.annotations.get(REF_NAME)


def with_ref(entries: Entries, descriptor: Descriptor, ref: str | None) -> Entries:
    """Entries in which ``ref`` points to ``descriptor``; without a ref, in which the descriptor is listed."""
    if ref is None:
        listed = any(entry.digest == descriptor.digest for entry in entries)
        return entries if listed else (*entries, descriptor)
    kept = tuple(
        entry for entry in without_ref(entries, ref) if entry.digest != descriptor.digest or ref_of(entry) is not None
    )
    return (*kept, replace(descriptor, annotations={**descriptor.annotations, REF_NAME: ref}))


def without_ref(entries: Entries, ref: str) -> Entries:
    """Entries without ``ref``; a manifest that had no other reference stays, unnamed."""
    kept = [entry for entry in entries if ref_of(entry) != ref]
    for entry in entries:
        if ref_of(entry) == ref and all(other.digest != entry.digest for other in kept):
            others = {name: text for name, text in entry.annotations.items() if name != REF_NAME}
            kept.append(replace(entry, annotations=others))
    return tuple(kept)


def standing(entries: Entries, ref: str, expect: str | None) -> str | None:
    """The digest that ``ref`` points to, or None. Raises RefMoved if it differs from ``expect``."""
    now = next((entry.digest for entry in entries if ref_of(entry) == ref), None)
    if expect not in (ANY, now):
        raise RefMoved(f"{ref} points to {now or 'nothing'}, not to {expect or 'nothing'}; check it and try again")
    return now
