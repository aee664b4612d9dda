"""The translations of all plain kinds."""

from .objects import Translation
from .servings import REPLICA_GROUPS, ROUTES
from .volume_claim import VOLUMES
from .works import WORKS

TRANSLATIONS: tuple[Translation, ...] = (REPLICA_GROUPS, ROUTES, VOLUMES, WORKS)
