"""The node's process: ``python -m tests.e2e.process_node.node SETTINGS``. Its pods die with it."""

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.e2e.cluster_watch import Refused, WatchingApi

from .containers import now
from .node_logs import serve_logs
from .pod_network import AddressPool
from .pods import NodeFacts, Pod

Object = dict[str, Any]
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
PROVISIONER = "lykeion.github.io/process-node"


@dataclass(frozen=True)
class Settings:
    """JSON in a file. ``number`` is the node's part of the pods' addresses."""

    name: str
    number: int
    kubeconfig: str
    folder: str
    images: str
    bridge: str
    machine: str
    name_server: str
    certificate: str
    key: str
    capacity: Mapping[str, str]
    labels: Mapping[str, str]
    services: Mapping[str, str]
    taints: list[Object] = field(default_factory=list)
    options: Mapping[str, float] = field(default_factory=dict)
    heartbeat_s: float = 2


class Node:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.api = WatchingApi(Path(settings.kubeconfig))
        self.facts = NodeFacts(
            name=settings.name,
            addresses=AddressPool(settings.bridge, settings.machine, settings.number),
            folder=Path(settings.folder),
            images=Path(settings.images),
            allocatable=settings.capacity,
            services=settings.services,
            name_server=settings.name_server,
            **settings.options,
        )
        self.pods: dict[str, Pod] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        port = await serve_logs(self)
        await self._register(port)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat())
            fields = f"spec.nodeName={self.settings.name}"
            group.create_task(self.api.follow("/api/v1/pods", self._pod_changed, {"fieldSelector": fields}))
            group.create_task(self.api.follow("/api/v1/persistentvolumeclaims", self._claim_changed, {}))
            group.create_task(self.api.follow("/api/v1/persistentvolumes", self._volume_changed, {}))
            print("ready", flush=True)

    def _pod_changed(self, kind: str, document: Object) -> None:
        uid = document["metadata"]["uid"]
        pod = self.pods.get(uid)
        if kind == "DELETED":
            if pod:
                pod.forget()
        elif pod:
            pod.update(document)
        else:
            pod = self.pods[uid] = Pod(document, self.facts, self.api)
            pod.update(document)
            task = self.tasks[uid] = asyncio.create_task(pod.run())
            task.add_done_callback(lambda done: self._ended(uid, done))

    def _ended(self, uid: str, task: asyncio.Task[None]) -> None:
        self.pods.pop(uid)
        self.tasks.pop(uid)
        if not task.cancelled() and (error := task.exception()):
            print(f"pod {uid}: {error!r}", file=sys.stderr, flush=True)
            asyncio.get_running_loop().call_exception_handler({"message": f"pod {uid}", "exception": error})

    async def _register(self, port: int) -> None:
        settings, name = self.settings, self.settings.name
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        spec = {"taints": settings.taints} if settings.taints else {}
        metadata = {"name": name, "labels": labels | dict(settings.labels)}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec}
        await self.api.ensure("/api/v1/nodes", node)
        await self._write_lease()
        addresses = [("InternalIP", settings.machine), ("Hostname", name)]
        status = {
            "capacity": settings.capacity,
            "allocatable": settings.capacity,
            "addresses": [{"type": type_, "address": it} for type_, it in addresses],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "nodeInfo": {
                "machineID": name, "systemUUID": name, "bootID": name, "kernelVersion": "", "osImage": "processes",
                "containerRuntimeVersion": "process://1", "kubeletVersion": "v1.34.3", "kubeProxyVersion": "",
                "operatingSystem": "linux", "architecture": "amd64",
            },
            "conditions": [self._ready()],
        }  # fmt: skip
        await self.api.patch_status(f"/api/v1/nodes/{name}", status)
        storage = {
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": PROVISIONER,
            "metadata": {
                "name": "process-node", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "allowVolumeExpansion": True,
        }  # fmt: skip
        await self.api.ensure("/apis/storage.k8s.io/v1/storageclasses", storage)

    def _ready(self) -> Object:
        at = now()
        return {
            "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
            "lastHeartbeatTime": at, "lastTransitionTime": at,
        }  # fmt: skip

    async def _beat(self) -> None:
        """Renew the lease; and say again that it is ready if the controllers have written that it is not."""
        path = f"/api/v1/nodes/{self.settings.name}"
        while True:
            await asyncio.sleep(self.settings.heartbeat_s)
            with suppress(Refused):
                await self._write_lease()
                there = (await self.api.get(path))["status"].get("conditions", ())
                if not any(it["type"] == "Ready" and it["status"] == "True" for it in there):
                    await self.api.patch_status(path, {"conditions": [self._ready()]})

    async def _write_lease(self) -> None:
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": self.settings.name, "leaseDurationSeconds": 40, "renewTime": at}
        metadata = {"name": self.settings.name, "namespace": "kube-node-lease"}
        document = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        path = f"{LEASES}/{self.settings.name}?fieldManager=node&force=true"
        await self.api.send("PATCH", path, document, "application/apply-patch+yaml")

    def _claim_changed(self, kind: str, claim: Object) -> None:
        spec, status = claim["spec"], claim.get("status", {})
        if kind != "DELETED" and status.get("phase") == "Pending" and spec.get("storageClassName") == "process-node":
            asyncio.create_task(self._provide(claim))  # noqa: RUF006  (it is short)

    async def _provide(self, claim: Object) -> None:
        """A directory for a claim, of whatever size and access modes. Another node may have made it."""
        metadata, spec = claim["metadata"], claim["spec"]
        name = f"pvc-{metadata['uid']}"
        path = Path(self.settings.folder).parent / "claims" / name
        path.mkdir(parents=True, exist_ok=True)
        reference = {
            "kind": "PersistentVolumeClaim", "apiVersion": "v1", "name": metadata["name"],
            "namespace": metadata["namespace"], "uid": metadata["uid"],
        }  # fmt: skip
        volume = {
            "apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
            "spec": {
                "capacity": {"storage": spec["resources"]["requests"]["storage"]}, "accessModes": spec["accessModes"],
                "hostPath": {"path": str(path)}, "persistentVolumeReclaimPolicy": "Delete", "claimRef": reference,
                "storageClassName": "process-node", "volumeMode": spec.get("volumeMode", "Filesystem"),
            },
        }  # fmt: skip
        with suppress(Refused):
            await self.api.ensure("/api/v1/persistentvolumes", volume)

    def _volume_changed(self, kind: str, volume: Object) -> None:
        ours = volume["metadata"].get("annotations", {}).get("pv.kubernetes.io/provisioned-by") == PROVISIONER
        if ours and kind != "DELETED" and volume.get("status", {}).get("phase") == "Released":
            asyncio.create_task(self._remove_volume(volume))  # noqa: RUF006

    async def _remove_volume(self, volume: Object) -> None:
        shutil.rmtree(volume["spec"]["hostPath"]["path"], ignore_errors=True)
        with suppress(Refused):
            await self.api.send("DELETE", f"/api/v1/persistentvolumes/{volume['metadata']['name']}")


async def main(settings: Settings) -> None:
    Path(settings.folder).mkdir(parents=True, exist_ok=True)
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with suppress(asyncio.CancelledError):
        await Node(settings).run()


if __name__ == "__main__":
    asyncio.run(main(Settings(**json.loads(Path(sys.argv[1]).read_text()))))
