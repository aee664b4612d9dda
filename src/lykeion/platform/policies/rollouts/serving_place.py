"""What the place where replicas run does by itself, so that a Serving's controller leaves it alone there."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ServingPlace:
    """``scales``: it finds the number of replicas. ``counts_requests``: its proxy has counts of every route.

    ``fetches``: it gives each replica its model or index; else the controller has indexes fetched to volumes, and
    replicas fetch their models.
    """

    scales: bool
    counts_requests: bool
    fetches: bool


ON_A_MACHINE = ServingPlace(scales=False, counts_requests=True, fetches=False)
IN_A_CLUSTER = ServingPlace(scales=True, counts_requests=False, fetches=True)
