"""Resources of one kind in a store, always at hand for requests of devices."""

from typing import Generic, TypeVar, cast

from lykeion.control import AnyKind, AnyResource, Change, Listing, ResourceStore, follow
from lykeion.core import Unavailable

R = TypeVar("R", bound=AnyResource)


class NotListed(Unavailable):
    """Rollouts or experiments have not been read yet: nobody can be told what to run."""


class FollowedResources(Generic[R]):
    """``by_uid`` is empty until they are read for the first time."""

    def __init__(self, kind: AnyKind) -> None:
        self._kind = kind
        self.by_uid: dict[str, R] = {}
        self._listed = False

    def ordered(self) -> list[R]:
        """From the oldest. Raises NotListed."""
        if not self._listed:
            raise NotListed("the server has just started; ask again in a moment")
        return sorted(self.by_uid.values(), key=age_of)

    async def run(self, store: ResourceStore) -> None:
        await follow(store, self._kind, self._replace, self._notice)

    def _replace(self, listing: Listing) -> None:
        self.by_uid = {each.metadata.uid: cast(R, each) for each in listing.items}
        self._listed = True

    def _notice(self, change: Change) -> None:
        if change.type == "DELETED":
            self.by_uid.pop(change.resource.metadata.uid, None)
        else:
            self.by_uid[change.resource.metadata.uid] = cast(R, change.resource)


def age_of(resource: AnyResource) -> tuple[str, str]:
    """Less for what was made earlier."""
    return str(resource.metadata.creation_timestamp), resource.metadata.uid
