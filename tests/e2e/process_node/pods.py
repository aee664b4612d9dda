"""One pod's life on a node: volumes, init containers, containers, restarts and the end, in the kubelet's order."""

import asyncio
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.cluster_watch import Refused, WatchingApi, pod_path

from .containers import Container, Mount, Start, now
from .node_images import NodeImage, PullError, pull
from .pod_network import AddressPool, PodNetwork
from .pod_status import conditions, has_started, phase, should_restart
from .probes import look, repeat
from .variables import ConfigError, Facts, expand, expand_path, variables
from .volumes import MountedVolume, Volumes, sub_path

Object = dict[str, Any]
MESSAGES_BYTES = 12 * 1024  # of all termination messages of a pod
_STATUSES = ("initContainerStatuses", "containerStatuses")
COALESCE_S = 0.05  # of changes into one write of the status
LEAST_GRACE_S = 2  # minimumGracePeriodInSeconds in pkg/kubelet/kuberuntime


@dataclass(frozen=True)
class NodeFacts:
    """What pods need of their node. Times in seconds: ``retry_s`` between tries to configure or mount; ``back_off_s``
    the first pause before a second restart or pull, doubled up to ``longest_s`` (a kubelet's are 10 and 300)."""

    name: str
    addresses: AddressPool
    folder: Path
    images: Path
    allocatable: Mapping[str, str]
    services: Mapping[str, str]
    name_server: str
    retry_s: float = 0.3
    back_off_s: float = 1
    longest_s: float = 10
    refresh_s: float = 3

    @property
    def address(self) -> str:
        return self.addresses.machine


class Pod:
    """Runs ``document`` until it is deleted. ``document`` is replaced when the server has a newer one."""

    def __init__(self, document: Object, node: NodeFacts, api: WatchingApi) -> None:
        self.document, self.node, self.api = document, node, api
        self.uid: str = document["metadata"]["uid"]
        self.folder = node.folder / self.uid
        self.network = PodNetwork(node.addresses, host=bool(document["spec"].get("hostNetwork")))
        spec = document["spec"]
        self.init = [self._container(it, init=True) for it in spec.get("initContainers", ())]
        self.main = [self._container(it, init=False) for it in spec["containers"]]
        self.volumes: dict[str, MountedVolume] = {}
        self.end: Object = {}  # reason and message of a pod that the node ended
        self.over = False  # nothing is started again
        self._dirty = asyncio.Event()
        self._deleted = asyncio.Event()
        self._gone = False
        self._probing: dict[str, list[asyncio.Task[None]]] = {}
        self._written: Object = {}
        self._told: set[tuple[str, str]] = set()

    def _container(self, spec: Object, *, init: bool) -> Container:
        return Container(spec, self.folder / spec["name"], init=init, changed=lambda: self._dirty.set())

    @property
    def all(self) -> list[Container]:
        return [*self.init, *self.main]

    def update(self, document: Object) -> None:
        """What the watch says; it may be older than the answer to our last write."""
        if _version(document) < _version(self.document):
            return
        self.document = document
        if document["metadata"].get("deletionTimestamp"):
            self._deleted.set()
        if _conditions_of(self._written).items() - _conditions_of(document.get("status", {})).items():
            self._written = {}  # the node's controller says that a pod of a silent node is not ready
        self._dirty.set()  # the condition Ready may depend on others' conditions

    def forget(self) -> None:
        """The object is gone from the server."""
        self._gone = True
        self._deleted.set()
        asyncio.get_running_loop().call_later(LEAST_GRACE_S, self._kill_all)

    def _kill_all(self) -> None:
        for container in self.all:
            container.signal(signal.SIGKILL)

    async def run(self) -> None:
        writer = asyncio.create_task(self._write_for_ever())
        try:
            if self._remember():
                self.over = True
            else:
                await self._live()
            await self._deleted.wait()
        finally:
            writer.cancel()
            await self._clean()
        if not self._gone:
            await self._delete()

    def _remember(self) -> bool:
        """Take over what an earlier process of this node has written; whether nothing is to be started."""
        status = self.document.get("status", {})
        known = {it["name"]: it for key in _STATUSES for it in status.get(key, ())}
        for container in self.all:
            if container.name in known:
                container.remember(known[container.name])
        if status.get("phase") in ("Succeeded", "Failed"):
            self._written = self.status
            return True
        lost = any("terminated" in it.state for it in self.main)
        return lost and self.document["spec"].get("restartPolicy") == "Never"

    async def _live(self) -> None:
        """Until it ends by itself, or is deleted, or its deadline passes."""
        life = asyncio.create_task(self._begin())
        deleted = asyncio.create_task(self._deleted.wait())
        done, _ = await asyncio.wait(
            {life, deleted}, timeout=self._seconds_left(), return_when=asyncio.FIRST_COMPLETED
        )
        deleted.cancel()
        if life in done:
            life.result()
            await self._stop(self.init)
        else:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)
            if not done:
                message = "Pod was active on the node longer than the specified deadline"
                self.end = {"phase": "Failed", "reason": "DeadlineExceeded", "message": message}
            await self._stop(self.main)
            await self._stop(self.init)
        self.over = True
        if all(it.started or it.ready for it in self.init) or any(has_started(it.status) for it in self.main):
            for container in self.main:  # as TerminatePod in pkg/kubelet/status/status_manager.go
                if "terminated" not in container.state:
                    container.lose()
        await self._write()

    def _seconds_left(self) -> float | None:
        return self.document["spec"].get("activeDeadlineSeconds")

    async def _begin(self) -> None:
        for container in self.all:
            container.wait("PodInitializing" if self.init else "ContainerCreating")
        self.folder.mkdir(parents=True, exist_ok=True)
        await self.network.make()
        self._dirty.set()
        await self._mount()
        self._probing["volumes"] = [asyncio.create_task(self._refresh())]
        for container in self.init:
            if container.sidecar:
                await self._start_sidecar(container)
            elif await self._attempts(container):
                return  # its pod has failed
        async with asyncio.TaskGroup() as group:
            for container in self.main:
                group.create_task(self._attempts(container))

    async def _mount(self) -> None:
        """Try until all volumes are there."""
        while True:
            try:
                images = await self._volume_images()
                self.volumes = await Volumes(self.folder / "volumes", self.facts, images).make()
                return
            except ConfigError as error:
                await self._event("FailedMount", str(error))
                await asyncio.sleep(self.node.retry_s)

    async def _refresh(self) -> None:
        """Changes of ConfigMaps and Secrets come into volumes."""
        volumes = Volumes(self.folder / "volumes", self.facts, {})
        while True:
            await asyncio.sleep(self.node.refresh_s)
            with suppress(ConfigError):
                await volumes.refresh()

    async def _volume_images(self) -> dict[str, Path]:
        found = {}
        for volume in self.document["spec"].get("volumes", ()):
            if reference := volume.get("image", {}).get("reference"):
                try:
                    found[volume["name"]] = (await asyncio.to_thread(pull, reference, self.node.images)).root
                except PullError as error:
                    raise ConfigError(str(error)) from None
        return found

    async def _start_sidecar(self, container: Container) -> None:
        """Go on once it has started: its startup probe holds, or it runs and has none."""
        task = asyncio.create_task(self._attempts(container))
        self._probing.setdefault(f"{container.name} for ever", []).append(task)
        await container.has_started.wait()

    async def _attempts(self, container: Container) -> int:
        """Start it as often as the restart policy says; the last exit code."""
        pause = 0.0
        while True:
            await self._start(container)
            assert container.exited
            probing = self._probe(container)
            code = await asyncio.shield(container.exited)
            for task in probing:
                task.cancel()
            if not (container.sidecar or should_restart(self.document["spec"], code, init=container.init)):
                return code
            if pause:
                message = (
                    f"back-off {pause:g}s restarting failed container={container.name} pod={self._name_of_pod()}"
                )
                container.wait("CrashLoopBackOff", message)
                await self._event("BackOff", f"Back-off restarting failed container {container.name}")
                await asyncio.sleep(pause)
            pause = min(self.node.longest_s, pause * 2 or self.node.back_off_s)

    def _name_of_pod(self) -> str:
        metadata = self.document["metadata"]
        return f"{metadata['name']}_{metadata['namespace']}({self.uid})"

    async def _start(self, container: Container) -> None:
        """Pull, configure and start, with pauses, until it could be tried."""
        image = await self._pull(container)
        while True:
            try:
                start = await self._configure(container, image)
                break
            except ConfigError as error:
                container.wait("CreateContainerConfigError", str(error))
                await self._event("Failed", f"Error: {error}")
                await asyncio.sleep(self.node.retry_s)
        await container.start(start)
        if "running" not in container.state:
            return
        hook = container.spec.get("lifecycle", {}).get("postStart")
        if hook:
            good, message = await look(hook, container, self.network.address, 3600)
            if not good:
                await self._event("FailedPostStartHook", message)
                container.signal(signal.SIGKILL)
                return
        if "startupProbe" not in container.spec:
            container.set_started()
        if "readinessProbe" not in container.spec and "startupProbe" not in container.spec:
            container.ready = not container.init or container.sidecar
        self._dirty.set()

    async def _pull(self, container: Container) -> NodeImage:
        name, policy, pause = container.spec["image"], container.spec.get("imagePullPolicy", ""), 0.0
        while True:
            try:
                if policy == "Never" and not name.startswith(("host.local/", "layout.local/")):
                    container.wait(
                        "ErrImageNeverPull", f'Container image "{name}" is not present with pull policy of Never'
                    )
                    await asyncio.Event().wait()
                container.image = await asyncio.to_thread(pull, name, self.node.images)
                return container.image
            except PullError as error:
                container.wait("ErrImagePull", str(error))
                await self._event("Failed", f'Failed to pull image "{name}": {error}')
                pause = min(self.node.longest_s, pause * 2 or self.node.back_off_s)
                await self._write()
                container.wait("ImagePullBackOff", f'Back-off pulling image "{name}": ErrImagePull: {error}')
                await self._event("BackOff", f'Back-off pulling image "{name}"')
                await asyncio.sleep(pause)

    @property
    def facts(self) -> Facts:
        return Facts(
            self.document, self.network.address, self.node.address, self.node.allocatable, self.api.get, self._post
        )

    async def _post(self, path: str, body: Object) -> Object:
        return await self.api.send("POST", path, body)

    async def _configure(self, container: Container, image: NodeImage) -> Start:
        """Raises ConfigError."""
        spec, whole = container.spec, self.document["spec"]
        made = await variables(spec, self.facts, self.node.services)
        security = whole.get("securityContext", {}) | spec.get("securityContext", {})
        uid, gid = _user(security, image)
        mounts = [self._mount_of(it, made) for it in spec.get("volumeMounts", ())]
        hostname = whole.get("hostname") or self.document["metadata"]["name"]
        command = spec.get("command") or image.entrypoint
        arguments = spec.get("args") or (() if spec.get("command") else image.command)
        argv = [expand(it, made) for it in (*command, *arguments)]
        if not argv:
            raise ConfigError("no command specified")
        log, message = container.begin_attempt()
        target = spec.get("terminationMessagePath") or "/dev/termination-log"
        mounts += [Mount(str(message), target, False), *self._own_files(hostname)]
        groups = [*security.get("supplementalGroups", ())]
        groups += [security["fsGroup"]] if "fsGroup" in security else []
        return Start(
            command=argv,
            environment={"HOSTNAME": hostname, "HOME": "/root" if uid == 0 else "/", **image.environment, **made},
            root=str(image.root),
            log=str(log),
            scratch=str(container.folder / "scratch"),
            hostname=hostname,
            network=self.network.pid,
            uid=uid,
            gid=gid,
            groups=groups,
            directory=spec.get("workingDir") or image.directory,
            mounts=mounts,
            bind=image.bind,
            open=image.opened,
            readOnlyRoot=security.get("readOnlyRootFilesystem", False),
        )

    def _mount_of(self, mount: Object, made: Mapping[str, str]) -> Mount:
        volume = self.volumes[mount["name"]]
        source = volume.path
        relative = mount.get("subPath") or expand_path(mount.get("subPathExpr", ""), made)
        if relative:
            source = sub_path(source, relative)
        return Mount(str(source), mount["mountPath"], volume.read_only or mount.get("readOnly", False))

    def _own_files(self, hostname: str) -> list[Mount]:
        """/etc/hosts, hostname and resolv.conf, which a kubelet makes for each pod."""
        namespace, subdomain = self.document["metadata"]["namespace"], self.document["spec"].get("subdomain")
        named = f"{hostname}.{subdomain}.{namespace}.svc.cluster.local {hostname}" if subdomain else hostname
        hosts = f"127.0.0.1 localhost\n{self.network.address} {named}\n"
        search = f"search {namespace}.svc.cluster.local svc.cluster.local cluster.local"
        files = {
            "hosts": hosts,
            "hostname": hostname + "\n",
            "resolv.conf": f"nameserver {self.node.name_server}\n{search}\noptions ndots:5\n",
        }
        mounts = []
        for name, text in files.items():
            path = self.folder / name
            path.write_text(text)
            mounts.append(Mount(str(path), f"/etc/{name}", False))
        return mounts

    def _probe(self, container: Container) -> list[asyncio.Task[None]]:
        """Readiness and liveness begin when the startup probe holds."""
        if "running" not in container.state:
            return []
        task = asyncio.create_task(self._probe_all(container))
        self._probing[container.name] = [task]
        return [task]

    async def _probe_all(self, container: Container) -> None:
        spec = container.spec
        if probe := spec.get("startupProbe"):
            started = asyncio.Event()

            def begun(good: bool, message: str) -> None:
                if good:
                    started.set()
                else:
                    self._kill_by_probe(container, "Startup", message)

            looking = asyncio.create_task(repeat(probe, container, self.network.address, begun))
            try:
                await started.wait()
            finally:
                looking.cancel()
            container.set_started()
            container.ready = "readinessProbe" not in spec and (not container.init or container.sidecar)
            self._dirty.set()

        def ready(good: bool, message: str) -> None:
            if container.ready != good and container.runs:
                container.ready = good
                self._dirty.set()

        def alive(good: bool, message: str) -> None:
            if not good:
                self._kill_by_probe(container, "Liveness", message)

        async with asyncio.TaskGroup() as group:
            if probe := spec.get("readinessProbe"):
                group.create_task(repeat(probe, container, self.network.address, ready))
            if probe := spec.get("livenessProbe"):
                group.create_task(repeat(probe, container, self.network.address, alive))

    def _kill_by_probe(self, container: Container, which: str, message: str) -> None:
        """Once: the process that runs now is stopped with its grace period, and the restart policy decides."""
        killing = self._probing.setdefault(f"{container.name} ends", [])
        if any(not task.done() for task in killing):
            return
        grace = container.spec.get(f"{which.lower()}Probe", {}).get("terminationGracePeriodSeconds")
        killing.append(asyncio.create_task(self._end(container, self._grace() if grace is None else grace)))
        killing.append(asyncio.create_task(self._event("Unhealthy", f"{which} probe failed: {message}")))

    def _grace(self) -> float:
        metadata = self.document["metadata"]
        if self._gone:
            return 1
        if "deletionGracePeriodSeconds" in metadata:
            return metadata["deletionGracePeriodSeconds"]
        return self.document["spec"].get("terminationGracePeriodSeconds", 30)

    async def _stop(self, containers: list[Container]) -> None:
        """Main containers at once; then sidecars, the last first."""
        for key in [key for key in self._probing if key.endswith(" for ever")] if containers is self.init else ():
            for task in self._probing.pop(key):
                task.cancel()
        if containers is self.main:
            await asyncio.gather(*(self._end(it, self._grace()) for it in containers))
        else:
            for container in reversed(containers):
                await self._end(container, self._grace())

    async def _end(self, container: Container, grace: float) -> None:
        """preStop, SIGTERM, and SIGKILL when the grace period is over; two seconds after SIGTERM at the least."""
        await container.settle()
        if not container.runs:
            return
        assert container.exited
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        if hook := container.spec.get("lifecycle", {}).get("preStop"):
            await self._before_stop(hook, container, grace)
        container.signal(signal.SIGTERM)
        try:
            left = max(LEAST_GRACE_S, deadline - loop.time())
            await asyncio.wait_for(asyncio.shield(container.exited), left)
        except TimeoutError:
            container.signal(signal.SIGKILL)
            await container.exited

    async def _before_stop(self, hook: Object, container: Container, grace: float) -> None:
        assert container.exited
        looking = asyncio.create_task(look(hook, container, self.network.address, grace))
        await asyncio.wait({looking, container.exited}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        if looking.done() and not looking.result()[0]:
            await self._event("FailedPreStopHook", looking.result()[1])
        looking.cancel()

    @property
    def status(self) -> Object:
        """Our part of the status."""
        statuses = {it.name: it.status for it in self.all}
        began = any(has_started(it.status) for it in self.main)
        now_ = phase(self.document["spec"], statuses, terminal=self.over, initialized=began)
        if self.over and not any(has_started(it.status) for it in self.all):
            now_ = "Failed"
        if self.end:  # a phase that is the last is told when nothing runs any more
            now_ = self.end["phase"] if self.over else "Running"
        status: Object = {
            "phase": now_,
            "startTime": self.document.get("status", {}).get("startTime") or self._began,
            "hostIP": self.node.address,
            "hostIPs": [{"ip": self.node.address}],
            "observedGeneration": self.document["metadata"].get("generation", 0),
            "containerStatuses": self._limited([statuses[it.name] for it in self.main]),
            **{key: self.end[key] for key in ("reason", "message") if key in self.end},
        }
        if self.init:
            status["initContainerStatuses"] = self._limited([statuses[it.name] for it in self.init])
        if self.network.address:
            status |= {"podIP": self.network.address, "podIPs": [{"ip": self.network.address}]}
        made = bool(self.network.address) and not self.over
        status["conditions"] = conditions(self.document, statuses, status["phase"], network=made, now=now())
        return status

    _began = ""

    def _limited(self, statuses: list[Object]) -> list[Object]:
        """Termination messages share 12 KiB among the containers of a pod."""
        limit = MESSAGES_BYTES // max(1, len(statuses))
        for status in statuses:
            ended = status["state"].get("terminated")
            if ended and len(ended.get("message", "")) > limit:
                ended["message"] = ended["message"][:limit]
        return statuses

    async def _write_for_ever(self) -> None:
        while True:
            await self._dirty.wait()
            await asyncio.sleep(COALESCE_S)
            self._dirty.clear()
            await self._write()

    async def _write(self) -> None:
        self._began = self._began or now()
        status = self.status
        if status == self._written or self._gone:
            return
        with suppress(Refused):
            answer = await self.api.patch_status(pod_path(self.document), status, self.uid)
            self.update(answer)
            self._written = status

    async def _delete(self) -> None:
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": self.uid},
        }
        with suppress(Refused):
            await self._write()
            await self.api.send("DELETE", pod_path(self.document), body)

    async def _clean(self) -> None:
        for tasks in self._probing.values():
            for task in tasks:
                task.cancel()
        for container in self.all:
            await container.settle()
        self._kill_all()
        await asyncio.gather(*(it.exited for it in self.all if it.exited))
        await self.network.remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _event(self, reason: str, message: str) -> None:
        """A warning, equal ones once."""
        if (reason, message) in self._told:
            return
        self._told.add((reason, message))
        metadata = self.document["metadata"]
        reference = {
            "kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "namespace": metadata["namespace"],
            "uid": self.uid,
        }  # fmt: skip
        at = now()
        event = {
            "apiVersion": "v1", "kind": "Event", "metadata": {"generateName": f"{metadata['name']}."[:63]},
            "involvedObject": reference, "reason": reason, "message": message[:1024], "type": "Warning", "count": 1,
            "firstTimestamp": at, "lastTimestamp": at, "source": {"component": "kubelet", "host": self.node.name},
        }  # fmt: skip
        with suppress(Refused):
            await self.api.send("POST", f"/api/v1/namespaces/{metadata['namespace']}/events", event)


def _version(document: Object) -> int:
    return int(document["metadata"]["resourceVersion"])


def _conditions_of(status: Object) -> dict[str, str]:
    return {it["type"]: it["status"] for it in status.get("conditions", ())}


def _user(security: Mapping[str, Any], image: NodeImage) -> tuple[int, int]:
    """Raises ConfigError where it may not be root and would be."""
    uid_text, _, gid_text = image.user.partition(":")
    uid = security.get("runAsUser", int(uid_text) if uid_text.isdigit() else 0)
    gid = security.get("runAsGroup", int(gid_text) if gid_text.isdigit() else 0)
    if security.get("runAsNonRoot") and uid == 0:
        raise ConfigError("container has runAsNonRoot and image will run as root")
    return uid, gid
