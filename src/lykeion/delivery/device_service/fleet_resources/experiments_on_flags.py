"""Experiments on flags, as rules of the flags."""

import json
from collections.abc import Iterable

from lykeion.delivery.device_service.store import FleetStore
from lykeion.delivery.experiments import HOLDOUT, Experiment, ExperimentSpec
from lykeion.delivery.flags import (
    PRODUCTION,
    FlagError,
    FlagExperiment,
    FlagExperiments,
    FlagRule,
    FlagStore,
    Namespace,
    Variation,
    check_experiment,
)

DEVICE_ATTRIBUTE = "id"
"""By which clients know the unit that experiments call ``device``."""


def flag_experiments(all_of_them: Iterable[Experiment]) -> FlagExperiments:
    """Those on flags that run, and when any of them began or ended."""
    on_flags = [each for each in all_of_them if each.spec.flag]
    times = [at.timestamp() for each in on_flags for at in (each.status.started, each.status.stopped) if at]
    running = (
        flag_experiment(each.spec, each.metadata.name, each.metadata.uid)
        for each in on_flags
        if each.status.state == "Running"
    )
    return FlagExperiments(tuple(running), max(times, default=0.0))


def flag_experiment(spec: ExperimentSpec, name: str, seed: str) -> FlagExperiment:
    """Units are divided by the seed, as ``assigned_arm`` does. Clients know no classes of devices, and no periods."""
    rule = FlagRule(
        id=name,
        where=spec.where,
        unit=DEVICE_ATTRIBUTE if spec.unit == "device" else spec.unit,
        coverage=spec.coverage,
        variations=tuple(Variation(each.name, json.loads(each.value), each.share) for each in spec.arms),
        namespace=Namespace(HOLDOUT, spec.holdout, 1.0) if spec.holdout else None,
        experiment=name,
        seed=seed,
    )
    shares = tuple(each.share for each in spec.arms)
    return FlagExperiment(spec.flag, rule, shares, spec.design == "Units" and not spec.classes)


def unfit_for_flag(fleet: FleetStore, spec: ExperimentSpec) -> str:
    """Why an experiment cannot be on its flag; empty if it can. Raises FleetStoreError."""
    try:
        check_experiment(FlagStore(fleet, PRODUCTION).read(), flag_experiment(spec, "experiment", "seed"))
    except FlagError as error:
        return str(error)
    return ""
