"""The translations of all plain kinds."""

from .translation import Translation
from .volume_claim import VOLUMES
from .work_translation import WORKS

TRANSLATIONS: tuple[Translation, ...] = (VOLUMES, WORKS)
