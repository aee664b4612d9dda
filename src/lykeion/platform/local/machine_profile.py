"""The ClusterProfile of this machine: its spec is the user's, its status says what there is for programs."""

from collections import Counter

from lykeion.control import CLUSTER, Key, ResourceStore
from lykeion.core import NotFound
from lykeion.platform.resources.settings import CLUSTER_PROFILE, Capacity, ClusterProfileSpec, ClusterProfileStatus

from .supervision.machine_room import LocalMachine

THIS_MACHINE = "this-machine"


async def keep_profile(store: ResourceStore, machine: LocalMachine) -> None:
    """Create the profile, or bring its status up to date. Raises what the store raises."""
    try:
        profile = await store.get(Key(CLUSTER_PROFILE.name, CLUSTER, THIS_MACHINE))
    except NotFound:
        profile = await store.create(CLUSTER_PROFILE.new(THIS_MACHINE, ClusterProfileSpec(), namespace=CLUSTER))
    accelerators = Counter(each.type for each in machine.accelerators)
    capacity = Capacity(cores=machine.cores, memory_bytes=int(machine.memory_bytes), accelerators=dict(accelerators))
    status = ClusterProfileStatus(capacity=capacity)
    if status != profile.status:
        await store.write_status(profile.with_status(status))
