"""The arms of experiments that a device is in: versions of models and values of flags."""

import json
from collections.abc import Sequence

from lykeion.delivery.experiments import Experiment, ExperimentArm, assigned_arm
from lykeion.delivery.rollouts import FleetDevice, Matches
from lykeion.device import is_flag


def number_by_experiment(model: str, device: FleetDevice, experiments: Sequence[Experiment], matches: Matches) -> int:
    """The version of a model that an experiment has for a device; 0 if none has."""
    for each in experiments:
        if each.spec.model == model and each.status.numbers and (arm := _arm(each, device, matches)):
            return each.status.numbers[each.spec.arms.index(arm)]
    return 0


def flags_by_experiments(
    device: FleetDevice, experiments: Sequence[Experiment], matches: Matches
) -> dict[str, str | int | float | bool]:
    """By experiment the name of the device's arm, and by flag the arm's value; what devices do not take, such as
    structured values, is for clients."""
    found: dict[str, str | int | float | bool] = {}
    for each in experiments:
        if arm := _arm(each, device, matches):
            found[each.metadata.name] = arm.name
            value = json.loads(arm.value) if arm.value else None
            if isinstance(value, str | int | float | bool) and is_flag(each.spec.flag, value):
                found[each.spec.flag] = value
    return found


def _arm(experiment: Experiment, device: FleetDevice, matches: Matches) -> ExperimentArm | None:
    """The arm of a device, if it takes part and devices are what is assigned."""
    spec = experiment.spec
    if spec.unit != "device" or spec.design != "Units":
        return None
    of_class = not spec.classes or device.device_class in spec.classes
    if not of_class or (spec.where and not matches(spec.where, device.attributes)):
        return None
    name = assigned_arm(spec, experiment.metadata.uid, device.id)
    return next((each for each in spec.arms if each.name == name), None)
