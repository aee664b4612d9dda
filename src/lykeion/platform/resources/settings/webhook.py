"""Webhook: an address that is told of what has finished or failed, as https://www.standardwebhooks.com says."""

from typing import Annotated, Literal

from msgspec import Meta

from lykeion.control import Column, Conditions, Resource, ResourceKind, Time, Wire
from lykeion.platform.resources.programs import KeyOf

MAX_REMEMBERED = 100


class WebhookSpec(Wire, frozen=True):
    """Where to, and of what."""

    url: Annotated[
        str,
        Meta(
            max_length=1024,
            pattern=r"^https?://[!-~]+\Z",
            description="Gets a POST request of JSON for each.",
            extra={"must be": "an address that begins with https:// or http://"},
        ),
    ]
    secret: Annotated[KeyOf, Meta(description="The key with which requests are signed.")]
    outcomes: Annotated[
        tuple[Literal["Complete", "Failed", "RolledBack"], ...],
        Meta(min_length=1, max_length=3, description="What it is told of."),
    ] = ("Complete", "Failed", "RolledBack")
    kinds: Annotated[
        tuple[Annotated[str, Meta(max_length=63)], ...],
        Meta(max_length=16, description="Kinds of which it is told; by default all."),
    ] = ()
    give_up_seconds: Annotated[
        int, Meta(ge=1, le=2_592_000, description="A notice that could not be delivered for so long is left out.")
    ] = 86_400


class WebhookStatus(Wire, frozen=True):
    cursor: Annotated[str, Meta(max_length=32)] = ""
    """The resource version up to which all notices are delivered or left out."""
    delivered: Annotated[tuple[Annotated[str, Meta(max_length=128)], ...], Meta(max_length=MAX_REMEMBERED)] = ()
    """The IDs of the last notices."""
    delivered_count: int = 0
    last_delivery: Time | None = None
    conditions: Conditions = ()


WEBHOOK = ResourceKind(
    "Webhook",
    "webhooks",
    WebhookSpec,
    WebhookStatus,
    "An address that is told of what has finished or failed.",
    ("hook",),
    (
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Delivered", ".status.deliveredCount", "integer"),
        Column("Last", ".status.lastDelivery", "date"),
        Column("URL", ".spec.url", wide=True),
    ),
)
Webhook = Resource[WebhookSpec, WebhookStatus]
