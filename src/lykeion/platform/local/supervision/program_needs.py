"""What programs find on this machine when they start: values, volumes, services, an image; and what is lacking."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from msgspec import structs

from lykeion.control import AnyKind, AnyResource, ResourceStore, is_true
from lykeion.platform.resources.plain_kinds import REPLICA_GROUP, ROUTE
from lykeion.platform.resources.programs import VOLUME

from .machine_room import LocalMachine
from .program_images import ProgramImages
from .proxy_control import ProxyControl
from .route_runner import service_variable
from .value_sources import ValueSources


class ProgramNeeds:
    """``of`` returns the resources of a kind, ``volume_path`` the directory of a volume's uid.

    ``changed`` is called when something has changed for which a program may wait.
    """

    def __init__(
        self,
        store: ResourceStore,
        machine: LocalMachine,
        proxy: ProxyControl,
        of: Callable[[AnyKind], Iterable[AnyResource]],
        volume_path: Callable[[str], Path],
        changed: Callable[[], None],
    ) -> None:
        self._machine, self._proxy, self._of, self._volume_path = machine, proxy, of, volume_path
        self.values = ValueSources(store, changed)
        self._images = ProgramImages(machine.environment, changed)

    def given(self, resource: AnyResource) -> Mapping[str, str]:
        """The variables that the platform gives a resource's programs."""
        namespace = resource.metadata.namespace
        services = [each.spec.service for each in self._of(ROUTE) if each.metadata.namespace == namespace]
        urls = {service_variable(each): self._proxy.url(namespace, each) for each in services}
        volumes = {each.variable: self.volume(namespace, each.volume) for each in resource.spec.mounts}
        proxied: Mapping[str, str] = self._proxy.variables(resource) if resource.kind is REPLICA_GROUP else {}
        return {**urls, **volumes, **proxied}

    def volume(self, namespace: str, name: str) -> str:
        """The path of a volume; empty if there is none that can be used."""
        for each in self._of(VOLUME):
            same = (each.metadata.namespace, each.metadata.name) == (namespace, name)
            if same and is_true(each.status.conditions, "Ready"):
                return str(self._volume_path(each.metadata.uid))
        return ""

    def resolved(self, resource: AnyResource) -> AnyResource:
        """With the values of variables, and without an image that this machine does not start."""
        program = self.values.resolved(resource.spec.program, resource.metadata.namespace)
        if program.command and not self._machine.starts_images:
            program = structs.replace(program, image=None)
        return replace(resource, spec=structs.replace(resource.spec, program=program))

    async def lacks_image(self, resource: AnyResource) -> bool:
        """Whether the program's image is still to be pulled."""
        image = resource.spec.program.image if self._machine.starts_images else None
        return image is not None and not await asyncio.to_thread(self._images.is_present, image)

    def missing_image(self, resource: AnyResource) -> tuple[str, str]:
        """Why its image is not there, a reason and a message; it is pulled if it has a registry."""
        return self._images.missing(resource.spec.program.image)

    def lacking(self, resource: AnyResource) -> tuple[str, str] | None:
        """What a program needs and is not there, besides room and its image: a reason and a message."""
        program, namespace = resource.spec.program, resource.metadata.namespace
        if value := self.values.lacking(program, namespace):
            return "NoValue", value
        if absent := [each.volume for each in resource.spec.mounts if not self.volume(namespace, each.volume)]:
            return "NoVolume", f"there is no volume {absent[0]}"
        if not (program.command or self._machine.starts_images):
            return "NoCommand", "this machine cannot start images, and the program has no command"
        return None
