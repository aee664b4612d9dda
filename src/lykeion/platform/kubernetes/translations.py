"""The translations of all plain kinds."""

from .replica_group_objects import REPLICA_GROUPS
from .route_objects import ROUTES
from .translation import Translation
from .volume_claim import VOLUMES
from .work_translation import WORKS

TRANSLATIONS: tuple[Translation, ...] = (REPLICA_GROUPS, ROUTES, VOLUMES, WORKS)
