"""How attempts at a work follow one another, and how its processes share and find their place."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .distributed import distributed_environment, environment_of, places_of
    from .failure_rules import action_for
    from .giving_way import give_way, gives_way
    from .retry import delay_s

__all__ = [
    "action_for", "delay_s", "distributed_environment", "environment_of", "give_way", "gives_way", "places_of",
]  # fmt: skip

__getattr__ = lazy(__name__)
