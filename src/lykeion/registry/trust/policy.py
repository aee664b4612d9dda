"""Trust policies: a file that says which signatures a model needs, by name.


    default = "refuse"                       # or "allow", for names without a rule

    [[rule]]
    names = ["shoes", "registry.example.com/shop/*"]
    keys = ["shop.pub"]                      # one of them must have signed; relative to this file
    minimum = "v7"                           # refuses an alias that is rolled back further

The first matching rule applies; hosts are compared in canonical form. ``minimum`` is compared with the signed
version, not the tag, and a tag that is a version must be the signed one.
"""

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from lykeion.oci.distribution import ArtifactStore, InvalidReference, Reference, canonical_place
from lykeion.registry.artifact.model_artifact import Model
from lykeion.registry.errors import Untrusted
from lykeion.registry.model_names import parse, version_number
from lykeion.registry.resolving import load, newest

MAX_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Rule:
    names: tuple[str, ...]
    keys: tuple[Path, ...]
    minimum: int = 0
    short_names: bool = False
    """Whether to accept signatures of earlier releases, which name only the last part of a repository."""


@dataclass(frozen=True, slots=True)
class Policy:
    path: Path
    rules: tuple[Rule, ...]
    default: str

    def rule_for(self, reference: Reference) -> Rule | None:
        """Names are compared with host and path, without tag and digest."""
        name = f"{reference.host}/{reference.repository}" if reference.host else reference.repository
        same = canonical_place(name)
        return next(
            (
                rule
                for rule in self.rules
                if any(fnmatchcase(name, n) or fnmatchcase(same, canonical_place(n)) for n in rule.names)
            ),
            None,
        )


def read_policy(path: Path) -> Policy:
    """Raises Untrusted for a file that is not fully understood: such a policy would not protect."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Untrusted(f"{path}: larger than {MAX_BYTES:,} bytes, more than any trust policy")
        value = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Untrusted(f"{path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise Untrusted(f"{path}: not TOML ({error})") from None
    _known(path, value, {"default", "rule"})
    default = value.get("default", "refuse")
    if default not in ("refuse", "allow"):
        raise Untrusted(f'{path}: default is {str(default)[:40]!r}; expected "refuse" or "allow"')
    rules: Any = value.get("rule", [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in cast(list[Any], rules)):
        raise Untrusted(f"{path}: rules are written as [[rule]]")
    return Policy(path, tuple(_rule(path, rule) for rule in cast(list[dict[str, Any]], rules)), default)


def load_trusted(policy: Policy | None, store: ArtifactStore, reference: Reference) -> Model:
    """The model that a reference names, resolved once. Raises NotFound, InvalidModel, and Untrusted."""
    named = newest(store, reference)
    model = load(store, named)
    if policy:
        check_trust(policy, store, named, model)
    return model


def check_trust(policy: Policy, store: ArtifactStore, reference: Reference, model: Model) -> None:
    """Raises Untrusted if the policy does not allow a model. ``reference`` is the requested one."""
    rule = policy.rule_for(reference)
    if rule is None:
        if policy.default == "allow":
            return
        raise Untrusted(f"{reference}: no rule of {policy.path} matches it")
    if not rule.keys:
        return
    from .signing import verify

    wanted, numbers, short = version_number(reference.tag or ""), set[int](), False
    for told in verify(store, reference.repository, model, rule.keys):
        short = short or (not told.whole and told.name == reference.name)
        if told.name != (reference.repository if told.whole else rule.short_names and reference.name):
            continue
        number = version_number(told.version) or 0
        if number >= rule.minimum and wanted in (None, number):
            return
        numbers.add(number)
    if not numbers:
        keys = ", ".join(str(key) for key in rule.keys)
        old = "; one of an earlier release has only its last part: sign again, or allow short_names" if short else ""
        raise Untrusted(f"{reference}: not signed as {reference.repository!r} by {keys} ({policy.path}){old}")
    if max(numbers) < rule.minimum:
        raise Untrusted(f"{reference}: signed as v{max(numbers)}; {policy.path} allows v{rule.minimum} and later")
    raise Untrusted(f"{reference}: signed as v{max(numbers)}, not as {reference.tag}; name an alias or the digest")


def check_file(policy: Policy, name: str) -> None:
    """Raises Untrusted if the policy does not allow a model that is not a version of a repository.

    A file, or a network that comes with the software, has no signature: it is allowed only if the rule for its name,
    or the default, needs none.
    """
    if not _allowed_unsigned(policy, name):
        raise Untrusted(f"{name}: {policy.path} allows models by name and signature; name a version, not a file")


def check_image(policy: Policy, name: str) -> None:
    """Raises Untrusted where the policy does not allow a container image, whose signatures are not read here.

    It needs a rule for its name without keys, or ``default = "allow"``.
    """
    if not _allowed_unsigned(policy, name):
        raise Untrusted(f"{name}: {policy.path} has no rule without keys for this image; images bring no signatures")


def _allowed_unsigned(policy: Policy, name: str) -> bool:
    try:
        rule = policy.rule_for(parse(name))
    except InvalidReference:
        rule = None
    return not rule.keys if rule else policy.default == "allow"


def _rule(path: Path, value: dict[str, Any]) -> Rule:
    _known(path, value, {"names", "keys", "minimum", "short_names"})
    names, keys, minimum = value.get("names"), value.get("keys", []), value.get("minimum", "v1")
    if not isinstance(short := value.get("short_names", False), bool):
        raise Untrusted(f"{path}: short_names of a rule must be true or false")
    for field, texts in (("names", names), ("keys", keys)):
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in cast(list[Any], texts)):
            raise Untrusted(f"{path}: {field} of a rule must be a list of strings")
    number = version_number(minimum) if isinstance(minimum, str) else None
    if not names or number is None:
        raise Untrusted(f'{path}: a rule needs names, and its optional minimum is written like "v7"')
    if number > 1 and not keys:
        raise Untrusted(f"{path}: a rule with a minimum needs keys: only a signature proves the version")
    return Rule(tuple(names), tuple(path.parent / key for key in keys), number, short)


def _known(path: Path, value: dict[str, Any], names: set[str]) -> None:
    if unknown := sorted(value.keys() - names):
        raise Untrusted(f"{path}: unknown field {unknown[0][:60]!r}")
