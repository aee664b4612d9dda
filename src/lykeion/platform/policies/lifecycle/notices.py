"""What webhooks are told: how a resource has ended, or that a new version was rolled back."""

import base64
import hashlib
import hmac
import json
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import datetime

from lykeion.control import AnyResource
from lykeion.core import Invalid
from lykeion.platform.resources.pipelines import PIPELINE_RUN
from lykeion.platform.resources.runs import IMAGE_BUILD, ImageBuild
from lykeion.platform.resources.servings import SERVING
from lykeion.platform.resources.settings import Webhook

from .completion import end_of

SECRET_PREFIX = "whsec_"  # noqa: S105  (what such secrets begin with)


class InvalidSecret(Invalid):
    """A secret with which nothing can be signed."""


@dataclass(frozen=True)
class Notice:
    """``id`` is the same however often it is sent; ``version`` is the resource version, a number."""

    id: str
    version: int
    resource: AnyResource
    outcome: str
    reason: str
    message: str

    def body(self) -> bytes:
        """As JSON."""
        metadata = self.resource.metadata
        told = {
            "type": f"{self.resource.kind.name.lower()}.{self.outcome.lower()}",
            "kind": self.resource.kind.name,
            "namespace": metadata.namespace,
            "name": metadata.name,
            "uid": metadata.uid,
            "labels": metadata.labels,
            "outcome": self.outcome,
            "reason": self.reason,
            "message": self.message,
        }
        return json.dumps(told).encode()


def notice_of(resource: AnyResource) -> Notice | None:
    """What there is to tell of a resource, or None. A run tells of what its steps have created."""
    if resource.owner and resource.owner.kind == PIPELINE_RUN.name:
        return None
    uid, version = resource.metadata.uid, int(resource.metadata.resource_version)
    if resource.kind is SERVING:
        last = resource.status.history[-1:]
        if last and last[0].outcome == "RolledBack":
            number = f"{uid}-{last[0].number}"
            return Notice(number, version, resource, "RolledBack", last[0].reason, last[0].message)
        return None
    if resource.kind is IMAGE_BUILD:
        return _of_build(resource)
    end = end_of(getattr(resource.status, "conditions", ()))
    return Notice(uid, version, resource, end.type, end.reason, end.message) if end else None


def _of_build(build: ImageBuild) -> Notice | None:
    """How the last build of an image has ended."""
    uid, version = build.metadata.uid, int(build.metadata.resource_version)
    for last in build.status.history[-1:]:
        outcome, reason = ("Failed", last.reason) if last.outcome == "Failed" else ("Complete", "Built")
        return Notice(f"{uid}-{last.number}", version, build, outcome, reason, last.message or build.status.image)
    return None


def next_notice(webhook: Webhook, notices: Iterable[Notice], late: Container[str] = ()) -> Notice | None:
    """The first that has to be sent: newer than the cursor or one of ``late`` by ID, of its namespace, and wanted."""
    spec, status, namespace = webhook.spec, webhook.status, webhook.metadata.namespace
    cursor = int(status.cursor or 0)
    wanted = [
        each
        for each in notices
        if (each.version > cursor or each.id in late)
        and each.resource.metadata.namespace == namespace
        and each.outcome in spec.outcomes
        and each.resource.kind.name in (spec.kinds or (each.resource.kind.name,))
        and each.id not in status.delivered
    ]
    return min(wanted, key=lambda each: each.version, default=None)


def signed_headers(notice: Notice, body: bytes, secret: bytes, now: datetime) -> dict[str, str]:
    """As receivers verify them; a secret that begins with ``whsec_`` is base64 after that. Raises InvalidSecret.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    text = secret.decode(errors="replace")
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX)) if text.startswith(SECRET_PREFIX) else secret
    except ValueError:
        raise InvalidSecret(f"the secret begins with {SECRET_PREFIX}, but is not base64 after that") from None
    timestamp = str(int(now.timestamp()))
    signature = hmac.digest(key, b".".join((notice.id.encode(), timestamp.encode(), body)), hashlib.sha256)
    return {
        "content-type": "application/json",
        "webhook-id": notice.id,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(signature).decode(),
    }
