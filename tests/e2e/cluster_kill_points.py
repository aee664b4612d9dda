"""An operator that kills itself before or after its n-th write, run as a program: ``VERB-NUMBER`` or ``never``.

It ends by SIGTERM as the real one does.
"""

import asyncio
import os
import signal
import sys
from typing import Any

from lykeion.core import LykeionError
from lykeion.platform import CONTROLLERS, KINDS, ClusterPlatform, OperatorSettings, cluster_access
from lykeion.platform.kubernetes.api.cluster_client import ClusterClient


def kill_at(when: str, number: int) -> None:
    """``when`` is before or after."""
    send, sent = ClusterClient._send, [0]

    async def counted(client: ClusterClient, request: Any) -> Any:
        if request.method == "GET" or "/leases" in request.url.path:
            return await send(client, request)
        sent[0] += 1
        _pass(when == "before" and sent[0] == number)
        answer = await send(client, request)
        _pass(when == "after" and sent[0] == number)
        return answer

    ClusterClient._send = counted  # type: ignore[method-assign]


def _pass(now: bool) -> None:
    if now:
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    if sys.argv[1] != "never":
        when, number = sys.argv[1].split("-")
        kill_at(when, int(number))
    settings = OperatorSettings(namespace="default", host="127.0.0.1", port=0, pod=sys.argv[2])
    made = ClusterPlatform(cluster_access(), KINDS, CONTROLLERS, settings)
    try:
        asyncio.run(made.run(lambda url: print(f"the operator answers on {url}", file=sys.stderr, flush=True)))
    except LykeionError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
