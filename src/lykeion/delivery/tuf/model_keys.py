"""Replacing the key of a model's role, which the top-level targets delegate to."""
# pyright: reportPrivateImportUsage=false
# TUF's modules show names that they import.

from collections.abc import Sequence
from itertools import count
from pathlib import Path

from tuf.api.metadata import Targets

from lykeion.delivery.errors import NoSuchTarget
from lykeion.device import role_of

from .editions import keys_of, next_edition
from .signing_keys import RoleKey, own_key
from .target_sets import files_of, roles_with, with_model
from .tuf_repository import Clock, opened, wall_clock


def rotate_model(
    home: Path, model: str, *, add: Sequence[RoleKey] = (), clock: Clock = wall_clock
) -> tuple[str, ...]:
    """Replace all keys of a model by these, or by a new one; returns the new IDs. It takes the key of targets.

    Raises NoSuchTarget, KeyUnavailable.
    """
    with opened(home, clock=clock) as repository:
        state, role = repository.state(), role_of(model)
        if role not in state.roles:
            raise NoSuchTarget(f"no model {model[:80]!r} is published")
        old = {key.keyid for key in keys_of(state.targets, role)}
        made = (own_key(home, f"{role}-{number}") for number in count(2))
        keys = list(add) or [next(key for key in made if key.keyid not in old)]
        repository.set(repository.settings.with_keys(keys))
        public = [key.public for key in keys]
        targets = with_model(state.targets, model, public)
        content = roles_with(model, files_of(state, model), state.roles, public)
        repository.commit(next_edition(state, repository.press, {Targets.type: targets, **content}))
        return tuple(key.keyid for key in keys)
