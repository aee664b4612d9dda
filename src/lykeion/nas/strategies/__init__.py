"""Strategies of architecture search, one file each, with one protocol. Those that need Keras are imported lazily."""

from importlib import import_module

from .strategy import Budget, Event, FoundNetwork, Problem, SearchCost, SearchError, Strategy

__all__ = [
    "STRATEGIES",
    "Budget",
    "Event",
    "FoundNetwork",
    "Problem",
    "SearchCost",
    "SearchError",
    "Strategy",
    "find_strategy",
]

STRATEGIES = {
    "single-path": ("single_path", "SinglePath"),
    "fbnet": ("fbnet", "FBNet"),
    "mnasnet": ("mnasnet", "MnasNet"),
    "evolution": ("evolution", "Evolution"),
    "random": ("random_search", "RandomSearch"),
}


def find_strategy(name: str) -> Strategy:
    """Raises SearchError."""
    if name not in STRATEGIES:
        raise SearchError(f"strategy {name!r} is unknown; use one of {', '.join(STRATEGIES)}")
    module, strategy = STRATEGIES[name]
    return getattr(import_module(f".{module}", __name__), strategy)()
