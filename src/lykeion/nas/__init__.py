"""Architecture search: spaces of networks, the networks' cost on a device, and search strategies."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .design_space.energy_table import EnergyTable
    from .design_space.named_spaces import find_space, spaces
    from .design_space.space import Genotype, Space, SpaceError, format_choice, format_genotype, parse_genotype
    from .devices.latency import LatencyError, LatencyTable, find_profile, judge, kendall_tau, pixel1
    from .devices.phone import PhoneError, export_to_phone, import_phone_results
    from .devices.profile_picture import draw_profile
    from .devices.profiling import profile_host, write_host_profile
    from .runs.baselines import BASELINES
    from .runs.comparing import compare
    from .runs.comparison import ComparedNetwork, ComparisonReport, SearchComparison
    from .runs.final import train_final
    from .runs.searching import NasRequest, SearchOutcome, open_space, read_result, search, search_and_train
    from .strategies import (
        STRATEGIES,
        Budget,
        FoundNetwork,
        Problem,
        SearchCost,
        SearchError,
        Strategy,
        find_strategy,
    )
    from .strategies.sampling import Sampler

__all__ = [
    "BASELINES", "STRATEGIES", "Budget", "ComparedNetwork", "ComparisonReport", "EnergyTable", "FoundNetwork",
    "Genotype", "LatencyError", "LatencyTable", "NasRequest", "PhoneError", "Problem", "Sampler",
    "SearchComparison", "SearchCost", "SearchError", "SearchOutcome", "Space", "SpaceError", "Strategy", "compare",
    "draw_profile", "export_to_phone", "find_profile", "find_space", "find_strategy", "format_choice",
    "format_genotype", "import_phone_results", "judge", "kendall_tau", "open_space", "parse_genotype", "pixel1",
    "profile_host", "read_result", "search", "search_and_train", "spaces", "train_final", "write_host_profile",
]  # fmt: skip
__getattr__ = lazy(__name__)
