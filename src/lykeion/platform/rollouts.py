"""What a user decides about a rollout: promote or abort it."""

from datetime import UTC, datetime
from typing import Any, Literal

from msgspec import structs

from lykeion.control import AnyResource, Key, ResourceStore
from lykeion.core import Conflict, Unsupported
from lykeion.platform.resources.servings import SERVING, ServingStatus

from .changed_specs import change_spec


async def decide_rollout(store: ResourceStore, key: Key, verb: Literal["promote", "abort"]) -> AnyResource:
    """Set ``spec.promote`` or ``spec.abort`` to the present time, a value that has not been used.

    Raises Unsupported for other kinds, Conflict if no rollout is in progress and, to promote, none was rolled back.
    """

    def decided(resource: AnyResource) -> Any:
        if resource.kind is not SERVING:
            raise Unsupported(f"{key}: only a serving has rollouts")
        status: ServingStatus = resource.status
        if status.rollout is None and not (verb == "promote" and status.rejected):
            raise Conflict(f"{key} has no rollout to {verb}")
        return structs.replace(resource.spec, **{verb: datetime.now(UTC).isoformat(timespec="milliseconds")})

    return await change_spec(store, key, decided)
