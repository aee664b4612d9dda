"""The translations of all plain kinds."""

from .translation import Translation

TRANSLATIONS: tuple[Translation, ...] = ()
