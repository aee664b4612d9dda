"""The variables by which the processes of a distributed program find one another, for each framework."""

import json
from collections.abc import Sequence

from lykeion.platform.resources.work import Role

EVALUATOR = "evaluator"
"""Not part of TensorFlow's cluster: it evaluates checkpoints by itself."""


def distributed_environment(roles: Sequence[Role], addresses: Sequence[str], index: int) -> dict[str, str]:
    """For the process with this index; ``addresses`` are HOST:PORT of each process, by index.

    TF_CONFIG as tf.distribute reads it, the address of JAX's coordinator as jax.distributed.initialize reads it, and
    what torch.distributed's ``env://`` reads: https://www.tensorflow.org/guide/distributed_training#TF_CONFIG,
    https://docs.pytorch.org/docs/stable/distributed.html#environment-variable-initialization
    """
    places = [(role.name, place) for role in roles for place in range(role.replicas)]
    role, place = places[index]
    cluster: dict[str, list[str]] = {}
    for (name, _), address in zip(places, addresses, strict=True):
        if name != EVALUATOR:
            cluster.setdefault(name, []).append(address)
    host, _, port = addresses[0].rpartition(":")
    return {
        "LYKEION_PEERS": ",".join(addresses),
        "LYKEION_ROLE": role,
        "LYKEION_ROLE_INDEX": str(place),
        "TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": role, "index": place}}),
        "JAX_COORDINATOR_ADDRESS": addresses[0],
        "JAX_NUM_PROCESSES": str(len(places)),
        "JAX_PROCESS_ID": str(index),
        "MASTER_ADDR": host,
        "MASTER_PORT": port,
        "WORLD_SIZE": str(len(places)),
        "RANK": str(index),
    }
