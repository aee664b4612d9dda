"""Sends notices to webhooks, in order and at least once: what is delivered is in the status of the webhook."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import httpx
from msgspec import structs

from lykeion.control import (
    AnyKind,
    AnyResource,
    Change,
    Condition,
    Key,
    Listing,
    NoSuchResource,
    ResourceStore,
    follow,
    merged,
)
from lykeion.core import Conflict, LykeionError, NotFound, Unavailable
from lykeion.platform.policies.attempts import delay_s
from lykeion.platform.policies.lifecycle import Notice, next_notice, notice_of, signed_headers
from lykeion.platform.resources.settings import MAX_REMEMBERED, SECRET, WEBHOOK, Webhook, WebhookStatus

TIMEOUT_S = 10.0
LIMIT_UNASKED = 1000
"""Notices that are kept while there is no webhook: one that is made now may be heard of after what ends then."""

_log = logging.getLogger("lykeion.platform")


class NotDelivered(Unavailable):
    """The receiver could not be reached, or did not accept the notice."""


class WebhookSender:
    """Tells the webhooks of ``store`` of the resources of ``kinds``: those that it is told of as an audience."""

    def __init__(
        self,
        store: ResourceStore,
        kinds: Sequence[AnyKind],
        now: Callable[[], datetime] = lambda: datetime.now(UTC).replace(microsecond=0),
    ) -> None:
        self._store, self._now = store, now
        self._notices: dict[str, Notice] = {}
        self._hooks: dict[Key, Webhook] = {}
        self._senders: dict[Key, asyncio.Task[None]] = {}
        self._passed: dict[Key, int] = {}
        self._late: defaultdict[Key, set[str]] = defaultdict(set)
        """Notices that were heard of when later ones had been sent: each kind has a watch of its own."""
        self._changed = asyncio.Event()
        self._knows_hooks = False
        self._listed = {kind.name: asyncio.Event() for kind in kinds}

    async def run(self) -> None:
        """Begins when all that there is was listed once."""
        async with asyncio.TaskGroup() as tasks, httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=True) as client:
            for listed in self._listed.values():
                await listed.wait()
            tasks.create_task(follow(self._store, WEBHOOK, self._replace_hooks, self._notice_hook))
            while True:
                self._changed.clear()
                for key in self._hooks.keys() - self._senders.keys():
                    self._senders[key] = tasks.create_task(self._send_all(key, client))
                await self._changed.wait()

    def listed(self, kind: AnyKind, listing: Listing) -> None:
        for resource in listing.items:
            self._note(resource)
        self._listed[kind.name].set()

    def changed(self, change: Change) -> None:
        """What has ended stays to be told, also when it is deleted before that."""
        if change.type == "DELETED" or not (notice := self._note(change.resource)):
            return
        for key, hook in self._hooks.items():
            seen = max(int(hook.status.cursor or 0), self._passed.get(key, 0))
            if key.namespace == change.resource.metadata.namespace and hook.status.cursor and seen >= notice.version:
                self._late[key].add(notice.id)

    def _note(self, resource: AnyResource) -> Notice | None:
        """A notice that was not known."""
        notice = notice_of(resource)
        if notice is None or notice.id in self._notices:
            return None
        self._notices[notice.id] = notice
        self._forget_unasked()
        self._changed.set()
        return notice

    def _replace_hooks(self, listing: Listing) -> None:
        self._hooks, self._knows_hooks = {each.key: each for each in listing.items}, True
        self._forget_unasked()
        self._changed.set()

    def _forget_unasked(self) -> None:
        """Where there is no webhook, notices of all that ever ended would stay."""
        while self._knows_hooks and not self._hooks and len(self._notices) > LIMIT_UNASKED:
            del self._notices[next(iter(self._notices))]

    def _notice_hook(self, change: Change) -> None:
        if change.type == "DELETED":
            self._hooks.pop(change.resource.key, None)
            self._forget_unasked()
        else:
            self._hooks[change.resource.key] = change.resource
        self._changed.set()

    async def _send_all(self, key: Key, client: httpx.AsyncClient) -> None:
        failures = 0
        try:
            while hook := self._hooks.get(key):
                try:
                    await self._go_on(hook, client)
                    failures = 0
                except Exception as error:  # of one webhook: it must not end what is done for all others
                    failures += 1
                    _log.warning("%s: %s; trying again", key, error, exc_info=not isinstance(error, LykeionError))
                    await asyncio.sleep(delay_s(failures))
        finally:
            self._senders.pop(key, None)
            self._late.pop(key, None)
            self._changed.set()

    async def _go_on(self, hook: Webhook, client: httpx.AsyncClient) -> None:
        if not hook.status.cursor:
            await self._begin(hook)
        elif notice := next_notice(hook, self._notices.values(), self._late[hook.key]):
            await self._send(hook, notice, client)
        else:
            self._forget_passed(hook.key)
            await self._changed.wait()
            await asyncio.sleep(0)

    async def _begin(self, hook: Webhook) -> None:
        """A new webhook is told of what ends from now on."""
        await self._write(hook, structs.replace(hook.status, cursor=hook.metadata.resource_version))

    async def _send(self, hook: Webhook, notice: Notice, client: httpx.AsyncClient) -> None:
        until = self._now() + timedelta(seconds=hook.spec.give_up_seconds)
        for failures in range(1, 1 << 30):
            try:
                await self._post(hook, notice, client)
                break
            except LykeionError as error:
                if self._now() >= until:
                    _log.warning("%s: %s is left out: %s", hook.key, notice.id, error)
                    break
                ready = Condition(type="Ready", status="False", reason="NotDelivered", message=str(error))
                hook = await self._write(hook, hook.status, ready)
                await asyncio.sleep(delay_s(failures))
                hook = self._hooks.get(hook.key) or hook
                if hook.key not in self._hooks:
                    return
        before = int(hook.status.cursor or 0)
        status = structs.replace(
            hook.status,
            cursor=str(max(before, notice.version)),
            delivered=(*hook.status.delivered, notice.id)[-MAX_REMEMBERED:],
            delivered_count=hook.status.delivered_count + 1,
            last_delivery=self._now(),
        )
        await self._write(hook, status, Condition(type="Ready", status="True", reason="Delivered"))
        came = {each.id for each in self._notices.values() if before < each.version <= notice.version}
        self._late[hook.key] = (self._late[hook.key] | came) - {notice.id}

    async def _post(self, hook: Webhook, notice: Notice, client: httpx.AsyncClient) -> None:
        """Raises NotDelivered, NotFound without the secret, InvalidSecret."""
        secret = await self._store.get(Key(SECRET.name, hook.metadata.namespace, hook.spec.secret.name))
        value = secret.spec.values().get(hook.spec.secret.key)
        if value is None:
            raise NoSuchResource(f"{secret.key} has no {hook.spec.secret.key}")
        body = notice.body()
        headers = signed_headers(notice, body, value, self._now())
        try:
            async with client.stream("POST", hook.spec.url, content=body, headers=headers) as answer:
                code = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotDelivered(f"{hook.spec.url}: {error or type(error).__name__}") from None
        except Exception as error:  # such as for a port above 65535
            raise NotDelivered(f"{hook.spec.url}: no address to which a request can be sent") from error
        if not 200 <= code < 300:
            raise NotDelivered(f"{hook.spec.url}: status {code}")

    async def _write(self, hook: Webhook, status: WebhookStatus, *conditions: Condition) -> Webhook:
        """Write the status, on what is there now."""
        while True:
            changed = merged(status.conditions, self._now(), *conditions, generation=hook.metadata.generation)
            try:
                hook = hook.with_status(structs.replace(status, conditions=changed))
                self._hooks[hook.key] = await self._store.write_status(hook)
                return self._hooks[hook.key]
            except Conflict:
                await asyncio.sleep(0.05)
                hook = self._hooks.get(hook.key) or hook  # as the watch has reported it
            except NotFound:
                self._hooks.pop(hook.key, None)
                return hook
            except Unavailable as error:
                _log.warning("%s: %s; trying again", hook.key, error)
                await asyncio.sleep(1)

    def _forget_passed(self, key: Key) -> None:
        """Drop the notices that no webhook has still to be told, when there is none for this one."""
        self._late.pop(key, None)
        self._passed[key] = max((each.version for each in self._notices.values()), default=0)
        passed = min(self._passed.get(each, 0) for each in self._hooks)
        late = set[str]().union(*self._late.values())
        self._notices = {id_: each for id_, each in self._notices.items() if each.version > passed or id_ in late}
