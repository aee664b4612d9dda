"""Pipeline: steps that depend on one another, run on a schedule or on demand; each run is a PipelineRun."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, structs

from lykeion.control import Column, Conditions, Name, Resource, ResourceKind, SpecRule, Time, Wire
from lykeion.platform.resources.programs import Argument, FailureRules, Program
from lykeion.platform.resources.runs import (
    BatchExecutionSpec,
    DeadlineSeconds,
    Inputs,
    Outputs,
    References,
    Retries,
    Schedule,
    Suspend,
    TrainingSpec,
    TtlSeconds,
    unique_names,
)

from .step_graph import filter_columns, problem_of
from .step_references import references

MAX_STEPS = 128
MAX_ARTIFACTS = 96
"""Of all steps: their references are in the status of a run, which is small."""
ParameterName = Annotated[
    str,
    Meta(
        max_length=63,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z",
        extra={"must be": "letters, digits and '_', not beginning with a digit"},
    ),
]


class Parameter(Wire, frozen=True):
    """A value that each run may be given: `$(parameters.NAME)` in the fields of steps."""

    name: Annotated[ParameterName, Meta(description="Of the parameter.")]
    default: Annotated[Argument, Meta(description="Without one, a run must give it.")] | None = None


class PipelineStep(Wire, frozen=True):
    """One of ``program``, ``training`` and ``batch``, and on what it depends."""

    name: Annotated[Name, Meta(description="Of the step.")]
    program: Annotated[Program, Meta(description="Run in this step.")] | None = None
    training: (
        Annotated[TrainingSpec, Meta(description="A Training; `$(steps.STEP.model)` is its version.")] | None
    ) = None
    batch: Annotated[BatchExecutionSpec, Meta(description="A BatchExecution.")] | None = None
    needs: Annotated[
        tuple[Name, ...],
        Meta(max_length=MAX_STEPS, description="Steps that come before it, besides those that it refers to."),
    ] = ()
    when: (
        Annotated[
            str,
            Meta(
                max_length=4096,
                description="A filter such as `parameters.day != '' and steps.train.results.top1 > 0.8`; "
                "else it is skipped.",
            ),
        ]
        | None
    ) = None
    for_each: (
        Annotated[
            Annotated[str, Meta(max_length=65536)],
            Meta(
                description="A JSON list, such as `$(steps.list.results.days)`: the program runs once for each item, "
                "which is `$LYKEION_SHARD`."
            ),
        ]
        | None
    ) = None
    parallelism: Annotated[int, Meta(ge=1, le=1000, description="How many items run at a time.")] = 1
    inputs: Inputs = ()
    outputs: Outputs = ()
    cache: Annotated[
        bool,
        Meta(description="Take the outputs of an earlier step of the same program and inputs, if there are any."),
    ] = False
    retries: Annotated[Retries, Meta(description="Of the program, after its first attempt.")] = 0
    on_failure: FailureRules = ()
    time_limit_seconds: Annotated[int, Meta(ge=1, le=31_536_000, description="Of one attempt.")] | None = None
    cluster: Annotated[Name, Meta(description="Another cluster of the ClusterProfile, in which it runs.")] | None = (
        None
    )

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "give one of program, training and batch",
            "[has(self.program), has(self.training), has(self.batch)].filter(given, given).size() == 1",
            lambda step: sum(each is not None for each in (step.program, step.training, step.batch)) == 1,
        ),
        SpecRule(
            "inputs, outputs, forEach and cache are those of a program",
            "has(self.program) || (size(self.inputs) + size(self.outputs) == 0 && !has(self.forEach) && !self.cache)",
            lambda step: (
                step.program is not None
                or not (step.inputs or step.outputs or step.for_each is not None or step.cache)
            ),
        ),
        unique_names("inputs"),
        unique_names("outputs"),
        SpecRule(
            "cache needs outputs",
            "!self.cache || size(self.outputs) > 0",
            lambda step: not step.cache or bool(step.outputs),
        ),
    )

    @property
    def kept(self) -> Outputs:
        """What is kept of the step, which ``$(steps.STEP.outputs.NAME)`` refers to."""
        return (self.batch or self.training or self).outputs


class ExitStep(Wire, frozen=True):
    """A program that runs when the steps have ended."""

    name: Annotated[Name, Meta(description="Of the step.")]
    program: Annotated[Program, Meta(description="Run in this step.")]
    needs: Annotated[tuple[Name, ...], Meta(max_length=8, description="Exit steps that come before it.")] = ()
    when: Annotated[str, Meta(max_length=4096, description="A filter; else it is skipped.")] | None = None
    inputs: Inputs = ()
    retries: Annotated[Retries, Meta(description="Of the program, after its first attempt.")] = 0
    time_limit_seconds: Annotated[int, Meta(ge=1, le=31_536_000, description="Of one attempt.")] | None = None

    def as_step(self) -> PipelineStep:
        return PipelineStep(**structs.asdict(self))


class StepGraph(Wire, frozen=True):
    """Steps, and what they are given."""

    steps: Annotated[
        tuple[PipelineStep, ...],
        Meta(min_length=1, max_length=MAX_STEPS, description="In any order; each runs as soon as it can."),
    ]
    exit_steps: Annotated[
        tuple[ExitStep, ...],
        Meta(
            max_length=8,
            description="Run at the end, also after a failure; `$(run.outcome)` is `Complete` or `Failed`.",
        ),
    ] = ()
    deadline_seconds: DeadlineSeconds | None = None
    ttl_seconds_after_finished: TtlSeconds | None = None

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            f"the steps have more than {MAX_ARTIFACTS} inputs and outputs in all",
            "self.steps.map(step, size(step.inputs) + (has(step.batch) ? size(step.batch.outputs) : "
            f"has(step.training) ? size(step.training.outputs) : size(step.outputs))).sum() <= {MAX_ARTIFACTS}",
            lambda graph: sum(len(step.inputs) + len(step.kept) for step in graph.steps) <= MAX_ARTIFACTS,
        ),
    )

    def after_steps(self) -> tuple[PipelineStep, ...]:
        """The exit steps, as steps."""
        return tuple(each.as_step() for each in self.exit_steps)

    def __post_init__(self) -> None:
        super().__post_init__()
        for problem in self._problems():
            if problem:
                raise ValueError(problem)

    def _problems(self) -> Iterator[str]:
        outputs = {step.name: {each.name for each in step.kept} for step in (*self.steps, *self.after_steps())}
        yield problem_of(self.steps, outputs=outputs)
        yield problem_of(self.after_steps(), self.steps, outputs=outputs)
        for name in sorted(self._used_parameters() - self.known_parameters()):
            yield f"parameter {name} is not declared"

    def known_parameters(self) -> set[str]:
        raise NotImplementedError

    def _used_parameters(self) -> set[str]:
        steps = (*self.steps, *self.after_steps())
        columns = [filter_columns(step.when) for step in steps if step.when]
        every = references(steps).union(*columns)
        return {each.removeprefix("parameters.") for each in every if each.startswith("parameters.")}


class PipelineSpec(StepGraph, frozen=True):
    """The steps, and when they are run."""

    parameters: Annotated[tuple[Parameter, ...], Meta(max_length=64, description="What each run is given.")] = ()
    schedule: Annotated[Schedule, Meta(description="Without one, it is run by `lykeion run`.")] | None = None
    suspend: Annotated[bool, Meta(description="Start no scheduled run until it is false again.")] = False

    rules: ClassVar[tuple[SpecRule, ...]] = (
        *StepGraph.rules,
        unique_names("parameters"),
        SpecRule(
            "a schedule needs a default of each parameter",
            "!has(self.schedule) || self.parameters.all(each, has(each.default))",
            lambda spec: spec.schedule is None or all(each.default is not None for each in spec.parameters),
        ),
    )

    def known_parameters(self) -> set[str]:
        return {each.name for each in self.parameters}


class PipelineStatus(Wire, frozen=True):
    last_schedule_time: Time | None = None
    next_schedule_time: Time | None = None
    runs: Annotated[tuple[Name, ...], Meta(max_length=100)] = ()
    """Those that have not finished."""
    conditions: Conditions = ()


class PipelineRunSpec(StepGraph, frozen=True):
    """One run: the steps as they were when it was created, and the values of parameters."""

    pipeline: Annotated[Name, Meta(description="That it is a run of; outputs are kept under its name.")] | None = None
    parameters: Annotated[dict[ParameterName, Argument], Meta(max_length=64, description="Values by name.")] = {}
    rerun_of: (
        Annotated[Name, Meta(description="An earlier run that has finished; its good steps are taken from it.")]
        | None
    ) = None
    from_step: (
        Annotated[Name, Meta(description="Of the earlier run: this step and those after it are run again.")] | None
    ) = None
    suspend: Suspend = False

    rules: ClassVar[tuple[SpecRule, ...]] = (
        *StepGraph.rules,
        SpecRule(
            "fromStep needs rerunOf",
            "!has(self.fromStep) || has(self.rerunOf)",
            lambda spec: spec.from_step is None or spec.rerun_of is not None,
        ),
    )

    def known_parameters(self) -> set[str]:
        return set(self.parameters)


Phase = Literal["Waiting", "Running", "Succeeded", "Failed", "Skipped", "Cached", "Reused", "Cancelled"]


class StepStatus(Wire, frozen=True):
    """``results`` is the JSON object that the program wrote. All others are references by digest.

    ``inputs`` and ``image`` are only those that were named by version or alias. ``cluster`` is another one in which
    there may be something of the step: its run ``remote_run``.
    """

    name: Name
    phase: Phase = "Waiting"
    image: Annotated[str, Meta(max_length=512)] = ""
    start_time: Time | None = None
    completion_time: Time | None = None
    inputs: References = {}
    outputs: References = {}
    results: Annotated[str, Meta(max_length=4096)] = ""
    message: Annotated[str, Meta(max_length=512)] = ""
    cluster: Annotated[str, Meta(max_length=63)] = ""
    remote_run: Annotated[str, Meta(max_length=63)] = ""


class PipelineRunStatus(Wire, frozen=True):
    start_time: Time | None = None
    completion_time: Time | None = None
    steps: Annotated[tuple[StepStatus, ...], Meta(max_length=MAX_STEPS + 8)] = ()
    progress: Annotated[str, Meta(max_length=63)] = ""
    conditions: Conditions = ()


_STATE = Column("State", ".status.conditions[?(@.status=='True')].type")
_AGE = Column("Age", ".metadata.creationTimestamp", "date")
PIPELINE = ResourceKind(
    "Pipeline",
    "pipelines",
    PipelineSpec,
    PipelineStatus,
    "Steps that depend on one another, run on a schedule or on demand.",
    ("pipe",),
    (
        Column("Schedule", ".spec.schedule.cron"),
        Column("Suspended", ".spec.suspend", "boolean"),
        Column("Last", ".status.lastScheduleTime", "date"),
        Column("Runs", ".status.runs"),
        Column("Next", ".status.nextScheduleTime", wide=True),
        _AGE,
    ),
)
PIPELINE_RUN = ResourceKind(
    "PipelineRun",
    "pipelineruns",
    PipelineRunSpec,
    PipelineRunStatus,
    "One run of a pipeline.",
    ("run",),
    (_STATE, Column("Pipeline", ".spec.pipeline"), Column("Steps", ".status.progress"), _AGE),
)
Pipeline = Resource[PipelineSpec, PipelineStatus]
PipelineRun = Resource[PipelineRunSpec, PipelineRunStatus]
