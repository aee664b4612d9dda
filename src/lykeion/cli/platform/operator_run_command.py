"""``lykeion operator run``: what runs in the operator's pod."""

import asyncio
import logging
import socket

import click

from lykeion import platform
from lykeion.cli.options import FiniteRange
from lykeion.core import VisibleFormatter, print_line


@click.command("run")
@click.option(
    "--context", default="", metavar="NAME", help="Of the kubeconfig.  [default: the pod's service account]"
)
@click.option("--only-namespace", "namespaces", multiple=True, metavar="NAMESPACE", help="May be repeated.")
@click.option("--host", default="0.0.0.0", show_default=True, help="The address of metrics and health checks.")  # noqa: S104
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 for a free one.")
@click.option("--image", envvar="LYKEION_IMAGE", default="", help="Of programs without one.  [env: LYKEION_IMAGE]")
@click.option(
    "--namespace", envvar="POD_NAMESPACE", default="lykeion-system", show_default=True, help="Of the Lease."
)
@click.option("--pod", envvar="POD_NAME", default="", help="Named in events and in the Lease.  [env: POD_NAME]")
@click.option(
    "--sweep-seconds",
    default=300.0,
    show_default=True,
    type=FiniteRange(1),
    help="Between two looks at what was left in other clusters.",
)
def run_operator(
    context: str,
    namespaces: tuple[str, ...],
    host: str,
    port: int,
    image: str,
    namespace: str,
    pod: str,
    sweep_seconds: float,
) -> None:
    """Carry the resources of a cluster, until SIGTERM or until the Lease is lost.

    One operator works at a time; others wait for its Lease. /healthz, /readyz and /metrics are on --port.
    """
    _log_to_stderr()
    pod = pod or socket.gethostname()
    settings = platform.OperatorSettings(namespaces, namespace, host, port, image, pod, sweep_s=sweep_seconds)
    access, controllers = platform.cluster_access(context), platform.CLUSTER_CONTROLLERS
    made = platform.ClusterPlatform(access, platform.KINDS, controllers, settings)
    asyncio.run(made.run(lambda url: print_line(f"the operator runs; it answers on {url}", err=True)))


def _log_to_stderr() -> None:
    """With times, and what goes well, too: nobody watches a pod as a person does a command."""
    handler = logging.StreamHandler()
    handler.setFormatter(VisibleFormatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger("lykeion")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
