"""How artifacts and images are found, fetched, built and kept, stage by stage."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .artifact_work import ASK_AGAIN_S, PROGRAM, Answers, ArtifactWork, look_up
    from .image_building import build_key, build_part, lookup_of, source_volumes, stages_of
    from .pinned_images import is_pinned, look_up_image
    from .pinned_inputs import await_registry, pin_inputs, registry_unavailable, with_pinned_image
    from .stages import ProgramStage, StageProgress, advance, models_command

__all__ = [
    "ASK_AGAIN_S", "PROGRAM", "Answers", "ArtifactWork", "ProgramStage", "StageProgress", "advance",
    "await_registry", "build_key", "build_part", "is_pinned", "look_up", "look_up_image", "lookup_of",
    "models_command", "pin_inputs", "registry_unavailable", "source_volumes", "stages_of", "with_pinned_image",
]  # fmt: skip

__getattr__ = lazy(__name__)
