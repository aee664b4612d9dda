"""How versions of a Serving are rolled out, judged and scaled."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .autoscaling_formula import PERIOD_S, kept, recommended, stabilized
    from .canary_analysis import look, next_look
    from .rollout_steps import (
        RolloutEnd,
        Signals,
        advance,
        is_inconclusive,
        joined,
        promoted,
        seconds_until_due,
        weight_of_next,
    )
    from .serving_place import IN_A_CLUSTER, ON_A_MACHINE, ServingPlace
    from .serving_template import FETCHED, template, template_hash

__all__ = [
    "FETCHED", "IN_A_CLUSTER", "ON_A_MACHINE", "PERIOD_S", "RolloutEnd", "ServingPlace", "Signals", "advance",
    "is_inconclusive", "joined", "kept", "look", "next_look", "promoted", "recommended", "seconds_until_due",
    "stabilized", "template", "template_hash", "weight_of_next",
]  # fmt: skip

__getattr__ = lazy(__name__)
