"""Flags that are kept, with their history: who changed what, when and why."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lykeion.core import Conflict, NotFound
from lykeion.core.flags import AttributeType

from .flag_compiling import FlagEnvironment, SavedGroup, check_environment, client_groups
from .flag_model import FeatureFlag, FlagError, check_attribute_name, check_flag_name, flag_document, read_flag
from .flag_phases import with_phases
from .flag_tables import FlagBase, FlagTransaction

PRODUCTION = "production"
MAX_FLAGS = 1_000
"""Of an environment; archived ones are not counted."""
MAX_FLAG_BYTES = 262_144
MAX_SENT_BYTES = 4 << 20
MAX_MEMBERS = 10_000
"""Values of a saved group, which every client is sent."""
_LAST = (
    "SELECT * FROM flag_versions f WHERE environment = ? AND version ="
    " (SELECT MAX(version) FROM flag_versions g WHERE g.environment = f.environment AND g.flag = f.flag)"
)


class NoSuchFlag(NotFound):
    """No flag has this name."""


class FlagConflict(Conflict):
    """Somebody else has changed the flag, its seed is in use, or its type would change."""


@dataclass(frozen=True)
class FlagVersion:
    """``number`` counts the versions of a flag from 1; ``at`` is in seconds since 1970."""

    name: str
    number: int
    archived: bool
    at: float
    who: str
    why: str
    flag: FeatureFlag


@dataclass(frozen=True)
class FlagEdit:
    """Who changes something, when (seconds since 1970), and why."""

    who: str
    why: str
    at: float


@dataclass(frozen=True)
class FlagChange:
    """``notes`` say what becomes of units; None of them moves where there is none."""

    version: FlagVersion
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FlagStore:
    """The flags of one environment. Safe among threads and processes. Methods raise what ``base`` raises."""

    base: FlagBase
    environment: str = PRODUCTION

    def get(self, name: str, number: int | None = None) -> FlagVersion:
        """The version that holds, also of an archived flag, or another one. Raises NoSuchFlag."""
        history = self.history(name)
        found = next((each for each in history if number in (None, each.number)), None)
        if found is None:
            raise NoSuchFlag(f"flag {name} has no version {number}; the last is {history[0].number}")
        return found

    def history(self, name: str) -> list[FlagVersion]:
        """The newest first. Raises NoSuchFlag."""
        rows = self.base.rows(
            "SELECT * FROM flag_versions WHERE environment = ? AND flag = ? ORDER BY version DESC",
            (self.environment, name),
        )
        if not rows:
            raise NoSuchFlag(f"there is no flag {name[:80]!r} in {self.environment}; see: lykeion flags list")
        return list(map(_version, rows))

    def listing(self, archived: bool = False) -> list[FlagVersion]:
        """By name, as they hold; with ``archived``, those too."""
        rows = self.base.rows(_LAST + " ORDER BY flag", (self.environment,))
        return [each for each in map(_version, rows) if archived or not each.archived]

    def read(self) -> FlagEnvironment:
        """Everything that evaluation needs, as it is at one moment."""
        with self.base.transaction() as now:
            return self._read(now)

    def put(
        self, name: str, flag: FeatureFlag, edit: FlagEdit, *, new_phase: bool = False, expected: int | None = None
    ) -> FlagChange:
        """Make or change a flag. ``expected`` is the number of the version that was read, 0 for none.

        A rule keeps its seed and so its units; what divides them otherwise begins a phase (``flag_phases``). Raises
        FlagError, FlagConflict.
        """
        check_flag_name(name, "the name of the flag")
        with self.base.transaction() as now:
            environment, last = self._read(now), self._last(now, name)
            _check_expected(name, last, expected)
            old = last.flag if last else None
            if old and old.type != flag.type:
                raise FlagConflict(f"flag {name} is {old.type}, which clients rely on; give {flag.type} another name")
            phased = with_phases(name, old, flag, self._phases(now, name), new_phase)
            self._check(name, phased.flag, environment)
            for rule, seed in phased.seeds.items():
                self._claim(now, seed, f"{name}.{rule}", _phase(phased.flag, rule))
            return FlagChange(self._append(now, name, last, phased.flag, edit, archived=False), phased.notes)

    def archive(self, name: str, edit: FlagEdit) -> FlagVersion:
        """Take a flag from clients and servers; ``put`` brings it back. Raises NoSuchFlag, FlagConflict."""
        with self.base.transaction() as now:
            last = self._last(now, name)
            if last is None:
                raise NoSuchFlag(f"there is no flag {name[:80]!r} in {self.environment}")
            environment = self._read(now)
            rest = {other: flag for other, flag in environment.flags.items() if other != name}
            try:
                check_environment(_replaced(environment, rest))
            except FlagError as error:
                raise FlagConflict(f"flag {name} is needed: {error}") from None
            return self._append(now, name, last, last.flag, edit, archived=True)

    def set_attribute(self, name: str, type_: AttributeType, edit: FlagEdit) -> None:
        """Declare an attribute of units, once and for all. Raises FlagError, FlagConflict."""
        check_attribute_name(name)
        with self.base.transaction() as now:
            known = self._read(now).attributes.get(name)
            if known and known != type_:
                raise FlagConflict(f"attribute {name} is {known}, which clients send; give {type_} another name")
            now.change(
                "INSERT INTO flag_attributes (environment, name, type) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (self.environment, name, type_),
            )
            self._note(now, edit, f"attribute {name} is {type_}")

    def set_group(self, name: str, group: SavedGroup, edit: FlagEdit) -> None:
        """Make a saved group, or replace it. Raises FlagError where its attribute is not declared."""
        with self.base.transaction() as now:
            environment = self._read(now)
            _check_group(name, group, environment)
            groups = {**environment.groups, name: group}
            self._check_environment(FlagEnvironment(environment.attributes, groups, environment.flags))
            now.change(
                "INSERT INTO flag_groups (environment, name, attribute, members) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (environment, name) DO UPDATE SET attribute = excluded.attribute,"
                " members = excluded.members",
                (self.environment, name, group.attribute, json.dumps(list(group.values))),
            )
            self._note(now, edit, f"group {name} has {len(group.values)} values")

    def claim_seed(self, seed: str, owner: str) -> None:
        """Keep a seed for something else that divides units. Raises FlagConflict where it is in use."""
        with self.base.transaction() as now:
            self._claim(now, seed, owner, 1)

    def number(self) -> tuple[int, float]:
        """Counts changes of the environment, and when the last was (seconds since 1970); 0 before the first."""
        rows = self.base.rows("SELECT number, changed_at FROM flag_environments WHERE name = ?", (self.environment,))
        return (rows[0]["number"], rows[0]["changed_at"]) if rows else (0, 0.0)

    def kept(self, unit: str) -> Mapping[str, Any]:
        """The assignments of a unit that a server keeps for it, as in ``FlagContext.sticky``."""
        rows = self.base.rows(
            "SELECT document FROM flag_assignments WHERE environment = ? AND unit = ?", (self.environment, unit)
        )
        return {unit: json.loads(rows[0]["document"])} if rows else {}

    def keep(self, assignments: Mapping[str, Any]) -> None:
        with self.base.transaction() as now:
            for unit, document in assignments.items():
                now.change(
                    "INSERT INTO flag_assignments (environment, unit, document) VALUES (?, ?, ?)"
                    " ON CONFLICT (environment, unit) DO UPDATE SET document = excluded.document",
                    (self.environment, unit, json.dumps(document)),
                )

    def _read(self, now: FlagTransaction) -> FlagEnvironment:
        last = map(_version, now.rows(_LAST + " ORDER BY flag", (self.environment,)))
        attributes = now.rows(
            "SELECT name, type FROM flag_attributes WHERE environment = ? ORDER BY name", (self.environment,)
        )
        groups = now.rows("SELECT * FROM flag_groups WHERE environment = ? ORDER BY name", (self.environment,))
        return FlagEnvironment(
            {row["name"]: row["type"] for row in attributes},
            {row["name"]: SavedGroup(row["attribute"], json.loads(row["members"])) for row in groups},
            {each.name: each.flag for each in last if not each.archived},
        )

    def _last(self, now: FlagTransaction, name: str) -> FlagVersion | None:
        rows = now.rows(_LAST + " AND flag = ?", (self.environment, name))
        return _version(rows[0]) if rows else None

    def _phases(self, now: FlagTransaction, name: str) -> dict[str, int]:
        """The last phase of each rule that the flag has, or had."""
        rows = now.rows("SELECT owner, phase FROM flag_seeds WHERE environment = ?", (self.environment,))
        found: dict[str, int] = {}
        for row in rows:
            flag, _, rule = row["owner"].partition(".")
            if flag == name:
                found[rule] = max(found.get(rule, 0), row["phase"])
        return found

    def _check(self, name: str, flag: FeatureFlag, environment: FlagEnvironment) -> None:
        flags = {**environment.flags, name: flag}
        size = len(json.dumps(flag_document(flag)))
        if len(flags) > MAX_FLAGS:
            raise FlagError(f"{self.environment} has {MAX_FLAGS:,} flags; archive those that are not in use")
        if size > MAX_FLAG_BYTES:
            raise FlagError(f"flag {name} has {size:,} bytes; at most {MAX_FLAG_BYTES:,} are allowed")
        self._check_environment(_replaced(environment, flags))

    def _check_environment(self, made: FlagEnvironment) -> None:
        check_environment(made)
        if len(json.dumps([made.client_features, client_groups(made)])) > MAX_SENT_BYTES:
            raise FlagError(
                f"clients of {self.environment} would be sent more than {MAX_SENT_BYTES >> 20} MiB of flags"
            )

    def _claim(self, now: FlagTransaction, seed: str, owner: str, phase: int) -> None:
        holds = now.rows("SELECT owner FROM flag_seeds WHERE environment = ? AND seed = ?", (self.environment, seed))
        if holds:
            raise FlagConflict(f"the seed {seed!r} is of {holds[0]['owner']}: with one seed both divide units alike")
        now.change(
            "INSERT INTO flag_seeds (environment, seed, owner, phase) VALUES (?, ?, ?, ?)",
            (self.environment, seed, owner, phase),
        )

    def _append(
        self,
        now: FlagTransaction,
        name: str,
        last: FlagVersion | None,
        flag: FeatureFlag,
        edit: FlagEdit,
        archived: bool,
    ) -> FlagVersion:
        number = (last.number if last else 0) + 1
        made = FlagVersion(name, number, archived, edit.at, edit.who[:128], edit.why[:1024], flag)
        values = (made.at, made.who, made.why, json.dumps(flag_document(flag)))
        now.change(
            "INSERT INTO flag_versions (environment, flag, version, archived, at, who, why, document)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (self.environment, name, number, int(archived), *values),
        )
        self._note(now, edit, f"flag {name} is {'archived' if archived else f'at version {number}'}")
        return made

    def _note(self, now: FlagTransaction, edit: FlagEdit, what: str) -> None:
        """Each change has a later time than the one before, by which clients tell versions apart."""
        now.change(
            "INSERT INTO flag_environments (name, number, changed_at) VALUES (?, 1, ?) ON CONFLICT (name) DO UPDATE"
            " SET number = flag_environments.number + 1, changed_at = CASE"
            " WHEN excluded.changed_at > flag_environments.changed_at + 0.001 THEN excluded.changed_at"
            " ELSE flag_environments.changed_at + 0.001 END",
            (self.environment, edit.at),
        )
        now.record(edit.at, edit.who, f"{self.environment}: {what}: {edit.why}")


def _version(row: Any) -> FlagVersion:
    flag = read_flag(json.loads(row["document"]), f"flag {row['flag']}")
    archived = bool(row["archived"])
    return FlagVersion(row["flag"], row["version"], archived, row["at"], row["who"], row["why"], flag)


def _replaced(environment: FlagEnvironment, flags: Mapping[str, FeatureFlag]) -> FlagEnvironment:
    return FlagEnvironment(environment.attributes, environment.groups, flags)


def _check_expected(name: str, last: FlagVersion | None, expected: int | None) -> None:
    number = last.number if last else 0
    if expected is not None and expected != number:
        by = f", by {last.who}: {last.why}" if last else ""
        raise FlagConflict(f"flag {name} is at version {number}, and not at {expected}{by}; look at it again")


def _check_group(name: str, group: SavedGroup, environment: FlagEnvironment) -> None:
    check_flag_name(name, "the name of the group")
    if len(group.values) > MAX_MEMBERS:
        raise FlagError(f"group {name} has {len(group.values):,} values; at most {MAX_MEMBERS:,} are allowed")
    kind = environment.attributes.get(group.attribute)
    if kind not in ("string", "number"):
        raise FlagError(f"group {name}: no attribute {group.attribute!r} is declared as string or number")
    wanted = {str} if kind == "string" else {int, float}
    if wrong := [value for value in group.values if type(value) not in wanted]:
        raise FlagError(f"group {name}: {wrong[0]!r} is not a {kind}, as {group.attribute} is")


def _phase(flag: FeatureFlag, rule: str) -> int:
    return next(each.phase for each in flag.ordered_rules if each.id == rule)
