"""What a cluster's gateway needs to be told, and whether there is one. Pure."""

from typing import Any

from lykeion.platform.kubernetes.objects import HEALTH_CHECKS, HTTP_ROUTES, ClusterFacts
from lykeion.platform.resources.plain_kinds import Readiness

GATEWAY = "lykeion"
"""The name of the Gateway to which services are attached."""


def has_gateway(facts: ClusterFacts) -> bool:
    return facts.has(HTTP_ROUTES) and facts.profile.gateway_class_name is not None


def needs_checks(facts: ClusterFacts) -> bool:
    """Whether its load balancer checks replicas itself, and else in a way that they do not answer: on GKE."""
    return has_gateway(facts) and facts.has(HEALTH_CHECKS)


def health_check(service: str, readiness: Readiness) -> dict[str, Any]:
    """The same check of a Service's pods as Kubernetes' own, which Google's load balancer does not know.

    https://googlecloudplatform.github.io/gke-gateway-api/#healthcheckpolicy
    """
    asked = {"portSpecification": "USE_SERVING_PORT"}
    http = {"type": "HTTP", "httpHealthCheck": {**asked, "host": "localhost", "requestPath": readiness.path}}
    every = max(readiness.period_seconds, readiness.timeout_seconds)
    return {
        "default": {
            "checkIntervalSec": every,
            "timeoutSec": readiness.timeout_seconds,
            "healthyThreshold": 1,
            "unhealthyThreshold": min(10, max(1, readiness.failure_threshold)),
            "config": http if readiness.path else {"type": "TCP", "tcpHealthCheck": asked},
        },
        "targetRef": {"group": "", "kind": "Service", "name": service},
    }
