"""Measuring model files and engines side by side on this machine, and choosing the best of them for a goal."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .accuracy import (
        COMPARED_PHOTOS,
        Agreement,
        Labelled,
        agreement,
        answers,
        checked_onnx,
        compare_engines,
        top1,
    )
    from .agreeing_engine import AgreeingEngine, EngineRace, NothingRemembered
    from .bench_report import BenchReport, BenchResult, RefusedCase, ReportError, read_report, write_report
    from .benchmark import BENCH, bench
    from .candidates import Case, ModelFile, cases
    from .choice_picture import draw_choice, front
    from .device_profile import DeviceProfile, Noise, ProfileError, entry_key, read_profile, write_profile
    from .energy import Energy, Precision, Rapl, modelled
    from .fleet import Cover, FleetError, cover
    from .goal import Goal, GoalError, exact, parse_goal
    from .selection import Selection, Standing, choose, select
    from .timing import REFERENCE, Timing, TimingError, TimingJournal, litert_candidate, measure, summarise

__all__ = [
    "BENCH", "COMPARED_PHOTOS", "REFERENCE", "AgreeingEngine", "Agreement", "BenchReport", "BenchResult", "Case",
    "Cover", "DeviceProfile", "Energy", "EngineRace", "FleetError", "Goal", "GoalError", "Labelled", "ModelFile",
    "Noise", "NothingRemembered", "Precision", "ProfileError", "Rapl", "RefusedCase", "ReportError", "Selection",
    "Standing", "Timing", "TimingError", "TimingJournal", "agreement", "answers", "bench", "cases", "checked_onnx",
    "choose", "compare_engines", "cover", "draw_choice", "entry_key", "exact", "front", "litert_candidate",
    "measure", "modelled", "parse_goal", "read_profile", "read_report", "select", "summarise", "top1",
    "write_profile", "write_report",
]  # fmt: skip
__getattr__ = lazy(__name__)
