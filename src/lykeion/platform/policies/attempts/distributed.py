"""The variables by which the processes of a distributed program find one another, for each framework."""

import json
from collections.abc import Sequence

from lykeion.platform.resources.plain_kinds import Role

EVALUATOR = "evaluator"
"""Not part of TensorFlow's cluster: it evaluates checkpoints by itself."""


def distributed_environment(roles: Sequence[Role], addresses: Sequence[str], index: int) -> dict[str, str]:
    """For the process with this index; ``addresses`` are HOST:PORT of each process, by index."""
    role, place = places_of(roles)[index]
    return environment_of(roles, addresses, role, str(place), str(index))


def places_of(roles: Sequence[Role]) -> list[tuple[str, int]]:
    """The role of each process, by index, and how many before it have the same."""
    return [(role.name, place) for role in roles for place in range(role.replicas)]


def environment_of(
    roles: Sequence[Role], addresses: Sequence[str], role: str, place: str, index: str
) -> dict[str, str]:
    """``place`` and ``index`` may be references to variables.

    TF_CONFIG as tf.distribute reads it, the address of JAX's coordinator as jax.distributed.initialize reads it, and
    what torch.distributed's ``env://`` reads: https://www.tensorflow.org/guide/distributed_training#TF_CONFIG,
    https://docs.pytorch.org/docs/stable/distributed.html#environment-variable-initialization
    """
    cluster: dict[str, list[str]] = {}
    for (name, _), address in zip(places_of(roles), addresses, strict=True):
        if name != EVALUATOR:
            cluster.setdefault(name, []).append(address)
    task = f'{{"type": {json.dumps(role)}, "index": {place}}}'
    host, _, port = addresses[0].rpartition(":")
    return {
        "LYKEION_PEERS": ",".join(addresses),
        "LYKEION_ROLE": role,
        "LYKEION_ROLE_INDEX": place,
        "TF_CONFIG": f'{{"cluster": {json.dumps(cluster)}, "task": {task}}}',
        "JAX_COORDINATOR_ADDRESS": addresses[0],
        "JAX_NUM_PROCESSES": str(len(addresses)),
        "JAX_PROCESS_ID": index,
        "MASTER_ADDR": host,
        "MASTER_PORT": port,
        "WORLD_SIZE": str(len(addresses)),
        "RANK": index,
    }
