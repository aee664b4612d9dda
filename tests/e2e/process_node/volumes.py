"""A pod's volumes as directories of this machine."""

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.cluster_watch import Refused

from .variables import ConfigError, Facts, field_value, resource_value

Object = dict[str, Any]
_WRITTEN_BY_NODE = ("configMap", "secret", "projected", "downwardAPI", "image")


@dataclass(frozen=True)
class MountedVolume:
    path: Path
    read_only: bool = False


@dataclass(frozen=True)
class Volumes:
    """Made in ``folder``, one directory for each. ``images`` has the files of those that are images."""

    folder: Path
    facts: Facts
    images: Mapping[str, Path]

    async def make(self) -> dict[str, MountedVolume]:
        """Raises ConfigError with the kubelet's words."""
        made: dict[str, MountedVolume] = {}
        for volume in self.facts.pod["spec"].get("volumes", ()):
            try:
                made[volume["name"]] = await self._make_one(volume)
            except ConfigError as error:
                raise ConfigError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}') from None
        return made

    async def refresh(self) -> None:
        """Write changed ConfigMaps and Secrets again; tokens are not renewed."""
        for volume in self.facts.pod["spec"].get("volumes", ()):
            sources = volume.get("projected", {}).get("sources", ())
            with_token = any("serviceAccountToken" in it for it in sources)
            if any(kind in volume for kind in ("configMap", "secret", "projected")) and not with_token:
                await self._make_one(volume)

    async def _make_one(self, volume: Object) -> MountedVolume:
        name = volume["name"]
        path = self.folder / name
        read_only = any(kind in volume for kind in _WRITTEN_BY_NODE)
        if "hostPath" in volume:
            return MountedVolume(Path(volume["hostPath"]["path"]))
        if "image" in volume:
            return MountedVolume(self.images[name], True)
        if claim := volume.get("persistentVolumeClaim"):
            return MountedVolume(self._owned(await self._claim(claim["claimName"])), claim.get("readOnly", False))
        if "ephemeral" in volume:
            return MountedVolume(self._owned(await self._claim(f"{self.facts.pod['metadata']['name']}-{name}")))
        path.mkdir(parents=True, exist_ok=True)
        if "emptyDir" in volume:
            path.chmod(0o777)
        elif read_only:
            files, modes = await self._files(volume)
            write_atomically(path, files, modes)
        else:
            kinds = ", ".join(key for key in volume if key != "name")
            raise ConfigError(f"this node has no volumes of kind {kinds}")
        return MountedVolume(self._owned(path), read_only)

    def _owned(self, path: Path) -> Path:
        """With ``fsGroup``, its group's, and writable for it."""
        group = self.facts.pod["spec"].get("securityContext", {}).get("fsGroup")
        if group is not None:
            for place in (path, *path.rglob("*")):
                if not place.is_symlink():
                    os.chown(place, -1, group)
                    mode = place.stat().st_mode
                    place.chmod(mode | (0o2770 if place.is_dir() else 0o660 if mode & 0o200 else 0o440))
        return path

    async def _claim(self, name: str) -> Path:
        try:
            claim = await self.facts.get(f"/api/v1/namespaces/{self.facts.namespace}/persistentvolumeclaims/{name}")
        except Refused as error:
            raise ConfigError(str(error)) from None
        if not (volume := claim["spec"].get("volumeName")):
            raise ConfigError(f'persistentvolumeclaim "{name}" is not bound')
        return Path((await self.facts.get(f"/api/v1/persistentvolumes/{volume}"))["spec"]["hostPath"]["path"])

    async def _files(self, volume: Object) -> tuple[dict[str, bytes], dict[str, int]]:
        """Content and mode of each path."""
        kind, source = next((kind, volume[kind]) for kind in volume if kind in _WRITTEN_BY_NODE)
        default = source.get("defaultMode", 0o644)
        if kind != "projected":
            return await self._one_source(kind, source, default)
        files: dict[str, bytes] = {}
        modes: dict[str, int] = {}
        for each in source.get("sources", ()):
            inner, given = next(iter(each.items()))
            some, their_modes = await self._one_source(inner, given, default)
            files |= some
            modes |= their_modes
        return files, modes

    async def _one_source(self, kind: str, source: Object, mode: int) -> tuple[dict[str, bytes], dict[str, int]]:
        if kind == "serviceAccountToken":
            return {source["path"]: (await self._token(source)).encode()}, {source["path"]: mode}
        if kind == "downwardAPI":
            items = source.get("items", ())
            return {it["path"]: self._downward(it).encode() for it in items}, _modes(items, mode)
        optional = source.get("optional", False)
        if kind == "configMap":
            found = await self.facts.config_map(source["name"], optional=optional)
        else:
            found = await self.facts.secret(source.get("secretName") or source["name"], optional=optional)
        if found is None:
            return {}, {}
        if not (items := source.get("items")):
            return found, dict.fromkeys(found, mode)
        files = {}
        for item in items:
            if item["key"] in found:
                files[item["path"]] = found[item["key"]]
            elif not optional:
                raise ConfigError(f"references non-existent config key: {item['key']}")
        return files, _modes(items, mode)

    def _downward(self, item: Object) -> str:
        if reference := item.get("fieldRef"):
            return field_value(reference["fieldPath"], self.facts)
        reference = item["resourceFieldRef"]
        spec = self.facts.pod["spec"]
        everything = [*spec["containers"], *spec.get("initContainers", ())]
        container = next(it for it in everything if it["name"] == reference["containerName"])
        return resource_value(reference, container, self.facts)

    async def _token(self, source: Object) -> str:
        metadata, account = self.facts.pod["metadata"], self.facts.pod["spec"].get("serviceAccountName", "default")
        bound = {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
        spec = {
            "audiences": [source["audience"]] if source.get("audience") else [],
            "expirationSeconds": source.get("expirationSeconds", 3600),
            "boundObjectRef": bound,
        }
        return await self.facts.token(
            f"/api/v1/namespaces/{self.facts.namespace}/serviceaccounts/{account}/token", spec
        )


def _modes(items: Iterable[Object], default: int) -> dict[str, int]:
    return {it["path"]: it.get("mode", default) for it in items}


def write_atomically(folder: Path, files: Mapping[str, bytes], modes: Mapping[str, int]) -> None:
    """All at once by the link ``..data``, as pkg/volume/util/atomic_writer.go does; nothing if nothing changed."""
    data = folder / "..data"
    if data.exists() and {p: (data / p).read_bytes() for p in _names(data)} == dict(files):
        return
    number = 1 + max((int(it.name[2:]) for it in folder.glob("..[0-9]*")), default=0)
    fresh = folder / f"..{number}"
    for name, content in files.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(modes[name])
    fresh.mkdir(exist_ok=True)
    (folder / "..next").symlink_to(fresh.name)
    old = data.readlink() if data.is_symlink() else None
    (folder / "..next").rename(data)
    tops = {name.split("/")[0] for name in files}
    for top in tops:
        if not (folder / top).is_symlink():
            (folder / top).symlink_to(f"..data/{top}")
    for gone in [it for it in folder.iterdir() if not it.name.startswith("..") and it.name not in tops]:
        gone.unlink()
    if old:
        shutil.rmtree(folder / old)


def _names(folder: Path) -> list[str]:
    return [str(it.relative_to(folder.resolve())) for it in folder.resolve().rglob("*") if it.is_file()]


def sub_path(volume: Path, relative: str) -> Path:
    """A place in a volume, made as a directory if absent. Raises ConfigError if it would leave it."""
    if relative.startswith("/") or ".." in relative.split("/"):
        raise ConfigError(f"subPath {relative!r} must be relative, without '..'")
    place = (volume / relative).resolve()
    if not place.is_relative_to(volume.resolve()):
        raise ConfigError(f"subPath {relative!r} leaves its volume")
    if not place.exists():
        place.mkdir(parents=True)
    return place
