"""What devices ask: to enrol, to renew their credential, what to run, and to take their reports."""

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from lykeion import device
from lykeion.delivery.experiments import Experiment
from lykeion.delivery.rollouts import Rollout
from lykeion.web_kit import Networks, Workers, caller_of, documented

from .desired import FlagsOf, PublishedCatalogue, desired_state, no_flags
from .records import DeviceAdmission, NotADevice, note_events, note_log, note_state, one_device

CALLS_A_MINUTE = 60
"""Of one device."""
ENROLMENTS_A_MINUTE = 600
"""And renewals, of one address, behind which many devices may be."""
MAX_COUNTED = 100_000


@dataclass
class CallLimit:
    """A token bucket for each caller; those that have not called for longest are forgotten."""

    a_minute: int = CALLS_A_MINUTE
    clock: Callable[[], float] = time.monotonic
    _left: "OrderedDict[str, tuple[float, float]]" = field(default_factory=OrderedDict[str, tuple[float, float]])

    def take(self, caller: str) -> float:
        """Seconds until the caller may call again; 0 if it may now, which counts."""
        now = self.clock()
        left, at = self._left.pop(caller, (float(self.a_minute), now))
        left = min(self.a_minute, left + (now - at) * self.a_minute / 60)
        self._left[caller] = (left - 1 if left >= 1 else left, now)
        while len(self._left) > MAX_COUNTED:
            self._left.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) * 60 / self.a_minute


@dataclass(frozen=True)
class DeviceService:
    """``rollouts`` returns those that there are, ``experiments`` those that run, from the oldest; ``flags`` returns
    those of a device."""

    admission: DeviceAdmission
    catalogue: PublishedCatalogue
    rollouts: Callable[[], Sequence[Rollout]]
    workers: Workers
    proxies: Networks = ()
    flags: FlagsOf = no_flags
    experiments: Callable[[], Sequence[Experiment]] = tuple
    calls: CallLimit = field(default_factory=CallLimit)
    enrolments: CallLimit = field(default_factory=lambda: CallLimit(ENROLMENTS_A_MINUTE))


def device_routes(service: DeviceService) -> APIRouter:
    routes = APIRouter(tags=["devices"])
    admission, store = service.admission, service.admission.store

    @routes.post(device.ENROL, summary="Enrol with a token", responses=documented())
    async def enrol(request: Request) -> Response:
        body = await _body(service.enrolments, request, _address(service, request))
        made = await service.workers.run(lambda: admission.enrol(device.read_enrol_request(body)))
        return _json(device.to_plain(made))

    @routes.post(device.RENEW, summary="Renew a credential", responses=documented())
    async def renew(request: Request) -> Response:
        body = await _body(service.enrolments, request, _address(service, request))
        made = await service.workers.run(lambda: admission.renew(device.read_renew_request(body)))
        return _json(device.to_plain(made))

    @routes.post(device.STATE, summary="Report a state, and get the desired one", responses=documented())
    async def state(request: Request) -> Response:
        name = await _device(service, request)
        body = await _body(service.calls, request, name)

        said = await service.workers.run(lambda: _told(service, name, body))
        return _json(device.to_plain(said))

    @routes.post(device.EVENTS, summary="Report events", responses=documented(), status_code=204)
    async def events(request: Request) -> Response:
        name = await _device(service, request)
        body = await _body(service.calls, request, name)
        await service.workers.run(lambda: note_events(store, name, device.read_batch(body), admission.clock()))
        return Response(status_code=204)

    @routes.post(device.LOG, summary="Send the log that was asked for", responses=documented(), status_code=204)
    async def log(request: Request) -> Response:
        name = await _device(service, request)
        body = await _body(service.calls, request, name)
        await service.workers.run(lambda: note_log(store, name, device.read_log_answer(body), admission.clock()))
        return Response(status_code=204)

    return routes


def _told(service: DeviceService, name: str, body: bytes) -> device.DesiredState:
    """Keep what a device reports, and what it is told then."""
    store, at = service.admission.store, service.admission.clock()
    note_state(store, name, device.read_reported_state(body), at)
    rollouts, experiments = service.rollouts(), service.experiments()
    record = one_device(store, name)
    return desired_state(store, record, service.catalogue, rollouts, at, service.flags, experiments)


async def _device(service: DeviceService, request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        if scheme.lower() != "bearer" or not token:
            raise NotADevice("a credential is needed: send Authorization: Bearer CREDENTIAL")
        return await service.workers.run(partial(service.admission.device_of, token.strip()))
    except NotADevice as error:
        raise HTTPException(401, str(error), {"WWW-Authenticate": "Bearer"}) from None


async def _body(limit: CallLimit, request: Request, caller: str) -> bytes:
    if wait_s := limit.take(caller):
        raise HTTPException(429, "too many calls", {"Retry-After": str(int(wait_s) + 1)})
    return await request.body()  # whose size the guard limits


def _address(service: DeviceService, request: Request) -> str:
    peer = request.client.host if request.client else ""
    return caller_of(peer, request.headers.getlist, service.proxies).address or peer


def _json(value: dict[str, Any]) -> Response:
    return Response(json.dumps(value), media_type="application/json", headers={"Cache-Control": "no-store"})
