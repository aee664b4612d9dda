"""Values of Secrets and ConfigMaps for the variables of programs. No record of an attempt holds them."""

import asyncio
from collections.abc import Callable
from functools import partial

from msgspec import structs

from lykeion.control import AnyKind, AnyResource, Change, Key, Listing, ResourceStore, follow
from lykeion.platform.resources.programs import EnvironmentVariable, KeyOf, Program
from lykeion.platform.resources.settings import CONFIG_MAP, SECRET


class ValueSources:
    """The Secrets and ConfigMaps of ``store``; ``changed`` is called when one of them changes."""

    def __init__(self, store: ResourceStore, changed: Callable[[], None]) -> None:
        self._store, self._changed = store, changed
        self._known: dict[Key, AnyResource] = {}
        self._listed = {kind.name: asyncio.Event() for kind in (SECRET, CONFIG_MAP)}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for kind in (SECRET, CONFIG_MAP):
                tasks.create_task(follow(self._store, kind, partial(self._replace, kind), self._notice))

    async def listed(self) -> None:
        """Wait until all are known."""
        for each in self._listed.values():
            await each.wait()

    def lacking(self, program: Program, namespace: str) -> str:
        """The first value that a program needs and that is not there, or an empty string."""
        for variable in program.env:
            if (of := _key_of(variable)) and not of[1].optional and self._value(*of, namespace) is None:
                kind, wanted = of
                key = Key(kind.name, namespace, wanted.name)
                return f"there is no {key}" if key not in self._known else f"{key} has no {wanted.key}"
        return ""

    def resolved(self, program: Program, namespace: str) -> Program:
        """The program with the values of its variables, where they are there."""
        variables = (self._resolved(variable, namespace) for variable in program.env)
        return structs.replace(program, env=tuple(each for each in variables if each))

    def _resolved(self, variable: EnvironmentVariable, namespace: str) -> EnvironmentVariable | None:
        of = _key_of(variable)
        if of is None:
            return variable
        value = self._value(*of, namespace)
        if value is None:
            return None
        literal = value.decode(errors="replace").replace("\0", "").replace("$", "$$")
        return EnvironmentVariable(name=variable.name, value=literal)

    def _value(self, kind: AnyKind, wanted: KeyOf, namespace: str) -> bytes | None:
        found = self._known.get(Key(kind.name, namespace, wanted.name))
        return found.spec.values().get(wanted.key) if found else None

    def _replace(self, kind: AnyKind, listing: Listing) -> None:
        self._known = {key: each for key, each in self._known.items() if each.kind is not kind}
        self._known |= {each.key: each for each in listing.items}
        self._listed[kind.name].set()
        self._changed()

    def _notice(self, change: Change) -> None:
        if change.type == "DELETED":
            self._known.pop(change.resource.key, None)
        else:
            self._known[change.resource.key] = change.resource
        self._changed()


def _key_of(variable: EnvironmentVariable) -> tuple[AnyKind, KeyOf] | None:
    source = variable.value_from
    if source is None:
        return None
    if source.secret_key_ref:
        return SECRET, source.secret_key_ref
    return (CONFIG_MAP, source.config_map_key_ref) if source.config_map_key_ref else None
