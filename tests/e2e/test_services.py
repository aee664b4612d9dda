"""Groups of replicas behind the proxy: started again, drained, and found by the next platform."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import structs

from lykeion.control import Key, is_true
from lykeion.platform import KINDS, connect
from lykeion.platform.local.processes.free_port import free_port
from lykeion.platform.resources.plain_kinds.replica_group import REPLICA_GROUP, Liveness, Readiness, ReplicaGroupSpec
from lykeion.platform.resources.plain_kinds.route import ROUTE, RouteSpec, WeightedGroup
from lykeion.platform.resources.plain_kinds.work import WORK, WorkSpec
from lykeion.platform.resources.programs.program import Program, Requests
from lykeion.platform.resources.programs.program_volume import VOLUME, VolumeMount, VolumeSpec
from lykeion.resource_api import SocketStore

from .platform_machine import COMMAND, PlatformMachine, platform_machine, until

SERVER = Path(__file__).with_name("small_server.py")

pytestmark = pytest.mark.slow


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[PlatformMachine]:
    with platform_machine(tmp_path / "h") as made:
        made.start()
        yield made


def _ask(machine: PlatformMachine, work: Callable[[SocketStore], Awaitable[Any]]) -> Any:
    async def asked() -> Any:
        async with connect(KINDS, machine.home / "platform") as store:
            return await work(store)

    return asyncio.run(asked())


def _create(machine: PlatformMachine, kind: Any, name: str, spec: Any) -> Any:
    return _ask(machine, lambda store: store.create(kind.new(name, spec)))


def _get(machine: PlatformMachine, kind: Any, name: str) -> Any:
    return _ask(machine, lambda store: store.get(Key(kind.name, "default", name)))


def _change(machine: PlatformMachine, kind: Any, name: str, **spec: Any) -> None:
    old = _get(machine, kind, name)
    _ask(machine, lambda store: store.apply(replace(old, spec=structs.replace(old.spec, **spec))))


def _group(machine: PlatformMachine, name: str = "g", replicas: int = 1, **spec: Any) -> None:
    program = Program(command=(sys.executable, str(SERVER)), args=("$(PORT)", name), working_dir=str(machine.place))
    readiness = spec.pop("readiness", Readiness(path="/ready", period_seconds=1))
    spec = {"program": program, "replicas": replicas, "readiness": readiness, **spec}
    _create(machine, REPLICA_GROUP, name, ReplicaGroupSpec(**spec))


def _route(machine: PlatformMachine, *groups: str) -> None:
    weights = tuple(WeightedGroup(group=each, weight=1) for each in groups)
    _create(machine, ROUTE, "r", RouteSpec(service="my-shop", groups=weights))


def _url(machine: PlatformMachine) -> str:
    until(lambda: _get(machine, ROUTE, "r").status.url)
    return _get(machine, ROUTE, "r").status.url


def _ready(machine: PlatformMachine, name: str = "g") -> int:
    return _get(machine, REPLICA_GROUP, name).status.ready


def _answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/").status_code == 200
    return False


def _serving(machine: PlatformMachine, replicas: int = 1, **spec: Any) -> str:
    """A service of one group that answers; returns its URL."""
    _group(machine, replicas=replicas, **spec)
    _route(machine, "g")
    url = _url(machine)
    until(lambda: _ready(machine) == replicas and _answers(url))
    return url


class Load:
    """Requests in a thread, one after the other, until it is ended; ``wrong`` are those without a good response."""

    def __init__(self, url: str) -> None:
        self.url, self.right, self.wrong, self._end = url, 0, list[str](), threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def more(self, count: int) -> None:
        """Wait for so many more responses."""
        wanted = self.right + count
        until(lambda: self.right >= wanted or self.wrong)

    def _run(self) -> None:
        with httpx.Client() as client:
            while not self._end.is_set():
                try:
                    answer = client.get(f"{self.url}/")
                    self.right += answer.status_code == 200
                    self.wrong += [answer.text] if answer.status_code != 200 else []
                except httpx.HTTPError as error:
                    self.wrong.append(repr(error))


def test_replicas_serve_by_the_proxy_and_programs_find_the_service_by_a_variable(machine: PlatformMachine) -> None:
    url = _serving(machine, replicas=2)
    assert {httpx.get(f"{url}/pid").text for _ in range(30)} > {httpx.get(f"{url}/pid").text}
    program = Program(command=("sh", "-c", 'echo "$MY_SHOP_URL" $1', "sh"), args=("$(MY_SHOP_URL)",))
    _create(machine, WORK, "w", WorkSpec(program=program, completions=1))
    until(lambda: _get(machine, WORK, "w").status.succeeded)
    assert machine.run("logs", "work/w") == f"{url} {url}\n"
    assert "listening" in machine.run("logs", "replicagroup/g", "--index", "1")
    assert url in machine.run("get", "routes")


def test_a_replica_that_ends_is_started_again_and_no_request_that_may_be_repeated_fails(
    machine: PlatformMachine,
) -> None:
    url = _serving(machine, replicas=2)
    with Load(url) as load:
        load.more(20)
        os.kill(int(httpx.get(f"{url}/pid").text), signal.SIGKILL)
        until(lambda: _get(machine, REPLICA_GROUP, "g").status.restarts == 1)
        until(lambda: _ready(machine) == 2)
        load.more(20)
    assert load.wrong == []
    status = _get(machine, REPLICA_GROUP, "g").status
    assert status.last_exit.startswith("exit code 137")


def test_scaling_down_waits_for_requests_in_flight(machine: PlatformMachine) -> None:
    url = _serving(machine, replicas=2, drain_seconds=60)
    slow = [threading.Thread(target=lambda: answers.append(httpx.get(f"{url}/slow", timeout=60).text)) for _ in "ab"]
    answers: list[str] = []
    for each in slow:
        each.start()
    until(lambda: len(list(machine.place.glob("slow-*"))) == 2)
    _change(machine, REPLICA_GROUP, "g", replicas=1)
    until(lambda: _ready(machine) == 1)
    with Load(url) as load:
        load.more(20)
    assert load.wrong == []
    assert _get(machine, REPLICA_GROUP, "g").status.replicas == 2
    (machine.place / "go").touch()
    until(lambda: _get(machine, REPLICA_GROUP, "g").status.replicas == 1)
    for each in slow:
        each.join()
    assert answers == ["slow", "slow"]


def test_a_group_that_is_replaced_and_deleted_loses_no_request(machine: PlatformMachine) -> None:
    url = _serving(machine)
    _group(machine, "new")
    until(lambda: _ready(machine, "new") == 1)
    with Load(url) as load:
        load.more(20)
        _change(machine, ROUTE, "r", groups=(WeightedGroup(group="new", weight=1),))
        until(lambda: httpx.get(f"{url}/").text == "new")
        _ask(machine, lambda store: store.delete(Key("ReplicaGroup", "default", "g")))
        load.more(100)
    assert load.wrong == []


def test_a_killed_platform_leaves_requests_answered_and_the_next_one_adopts_replicas_and_proxy(
    machine: PlatformMachine,
) -> None:
    url = _serving(machine)
    pid = httpx.get(f"{url}/pid").text
    with Load(url) as load:
        machine.kill()
        load.more(100)
        machine.start()
        load.more(100)
        until(lambda: _ready(machine) == 1)
        load.more(100)
    assert load.wrong == []
    assert httpx.get(f"{url}/pid").text == pid
    assert _get(machine, REPLICA_GROUP, "g").status.restarts == 0
    logs = list((machine.home / "platform" / "work").glob("proxy-*/*"))
    assert len(logs) == 1


def test_down_and_up_again_leave_the_urls_as_they_were(machine: PlatformMachine) -> None:
    url = _serving(machine)
    machine.run("down")
    assert not _answers(url)
    assert machine.process
    machine.process.wait()
    machine.start()
    until(lambda: _answers(url))
    assert _get(machine, REPLICA_GROUP, "g").status.restarts == 0


def test_a_proxy_that_was_killed_is_started_again(machine: PlatformMachine) -> None:
    url = _serving(machine)
    log = next((machine.home / "platform" / "work").glob("proxy-*/0-*/started"))
    os.killpg(int(log.read_text().split()[0]), signal.SIGKILL)
    until(lambda: not _answers(url))
    until(lambda: _answers(url))


def test_a_program_that_cannot_start_says_why(machine: PlatformMachine) -> None:
    for name, command in (("absent", ("no-such-program",)), ("fails", ("sh", "-c", "echo no model >&2; exit 3"))):
        _group(machine, name, program=Program(command=command))
    until(lambda: _get(machine, REPLICA_GROUP, "fails").status.restarts > 1)
    assert _get(machine, REPLICA_GROUP, "fails").status.last_exit == "exit code 3: no model"
    until(lambda: "no-such-program: not found" in _get(machine, REPLICA_GROUP, "absent").status.last_exit)


def test_a_replica_that_is_never_ready_is_restarted_and_gets_no_request(machine: PlatformMachine) -> None:
    _group(machine, readiness=Readiness(path="/absent", period_seconds=1, startup_seconds=1))
    _route(machine, "g")
    url = _url(machine)
    until(lambda: _get(machine, REPLICA_GROUP, "g").status.restarts)
    assert _get(machine, REPLICA_GROUP, "g").status.last_exit.startswith("NotReady")
    until(lambda: _proxy_answers(url))
    assert httpx.get(f"{url}/").text == "no replica of my-shop.default is ready\n"


def _proxy_answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return bool(httpx.get(f"{url}/").text)
    return False


def test_a_replica_that_is_ready_no_more_gets_no_requests_and_is_not_restarted(machine: PlatformMachine) -> None:
    url = _serving(machine, readiness=Readiness(path="/ready", period_seconds=1, failure_threshold=1))
    (machine.place / "unready").touch()
    until(lambda: _ready(machine) == 0)
    until(lambda: httpx.get(f"{url}/").status_code == 503)
    (machine.place / "unready").unlink()
    until(lambda: httpx.get(f"{url}/").status_code == 200)
    assert _get(machine, REPLICA_GROUP, "g").status.restarts == 0


def test_a_replica_that_hangs_is_restarted_and_meanwhile_the_others_answer(machine: PlatformMachine) -> None:
    checked = {"path": "/ready", "period_seconds": 1, "timeout_seconds": 1}
    liveness, readiness = Liveness(**checked, failure_threshold=2), Readiness(**checked, failure_threshold=100)
    url = _serving(machine, replicas=2, liveness=liveness, readiness=readiness)
    before = {httpx.get(f"{url}/pid").text for _ in range(30)}
    with suppress(httpx.TimeoutException):
        httpx.get(f"{url}/hang", timeout=1)
    until(lambda: _get(machine, REPLICA_GROUP, "g").status.restarts == 1)
    assert _get(machine, REPLICA_GROUP, "g").status.last_exit.startswith("NotLive")
    with Load(url) as load:
        load.more(20)
        until(lambda: _ready(machine) == 2)
        load.more(20)
    assert load.wrong == []
    assert len(before & {httpx.get(f"{url}/pid").text for _ in range(30)}) == 1, "the other one was left alone"


def test_groups_and_work_share_the_room_of_the_machine(machine: PlatformMachine) -> None:
    cores = os.cpu_count() or 1
    requests = Requests(cpu=cores)
    busy = Program(command=("sh", "-c", "while ! test -e go; do sleep 0.05; done"), working_dir=str(machine.place))
    _create(machine, WORK, "w", WorkSpec(program=structs.replace(busy, resources=requests), completions=1))
    until(lambda: _get(machine, WORK, "w").status.active)
    server = Program(command=(sys.executable, str(SERVER)), args=("$(PORT)", "g"), working_dir=str(machine.place))
    _group(machine, program=structs.replace(server, resources=requests))
    until(lambda: is_true(_get(machine, REPLICA_GROUP, "g").status.conditions, "Unschedulable"))
    (machine.place / "go").touch()
    until(lambda: _ready(machine) == 1)
    assert not is_true(_get(machine, REPLICA_GROUP, "g").status.conditions, "Unschedulable")


def test_a_volume_is_there_for_all_programs_that_mount_it_and_goes_when_none_uses_it(
    machine: PlatformMachine,
) -> None:
    mounts = (VolumeMount(volume="v", variable="DATA"),)
    waits = Program(command=("sh", "-c", 'echo kept > "$DATA/file"; while ! test -e go; do sleep 0.05; done'))
    work = WorkSpec(program=structs.replace(waits, working_dir=str(machine.place)), completions=1, mounts=mounts)
    _create(machine, WORK, "w", work)
    until(lambda: is_true(_get(machine, WORK, "w").status.conditions, "Unschedulable"))
    _create(machine, VOLUME, "v", VolumeSpec())
    volumes = machine.home / "platform" / "volumes"
    until(lambda: list(volumes.glob("*/file")))
    _group(
        machine,
        program=Program(command=("sh", "-c", "cat $1/file; sleep 600", "sh"), args=("$(DATA)",)),
        mounts=mounts,
    )
    until(lambda: "kept" in (_log(machine) or ""))
    _ask(machine, lambda store: store.delete(Key("ReplicaGroup", "default", "g")))
    _ask(machine, lambda store: store.delete(Key("Volume", "default", "v")))
    assert list(volumes.iterdir())
    (machine.place / "go").touch()
    until(lambda: not list(volumes.iterdir()))


def _log(machine: PlatformMachine) -> str:
    with suppress(AssertionError):
        return machine.run("logs", "replicagroup/g")
    return ""


def test_the_log_of_a_group_is_followed_until_it_is_deleted(machine: PlatformMachine) -> None:
    _serving(machine)
    command = [*COMMAND, "logs", "replicagroup/g", "--follow"]
    following = subprocess.Popen(command, env=machine.environment, stdout=subprocess.PIPE, text=True)
    assert following.stdout
    assert following.stdout.readline() == "listening\n"
    _ask(machine, lambda store: store.delete(Key("ReplicaGroup", "default", "g")))
    assert following.wait(60) == 0


def test_the_port_can_be_chosen_and_is_kept(machine: PlatformMachine) -> None:
    url = _serving(machine)
    machine.run("down")
    assert machine.process
    machine.process.wait()
    port = free_port(())
    machine.start("--port", str(port))
    until(lambda: _get(machine, ROUTE, "r").status.url == f"http://127.0.0.1:{port}/services/default/my-shop")
    assert url != _url(machine)
    until(lambda: _answers(_url(machine)))
