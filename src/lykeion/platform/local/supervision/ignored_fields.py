"""Fields of programs that mean nothing on a machine; users are told, since a cluster would act on them."""

import msgspec

from lykeion.control import Condition
from lykeion.platform.resources.programs import Program


def ignored_fields(program: Program, *, starts_images: bool) -> tuple[str, ...]:
    """Such as ``program.pod.tolerations``."""
    image = ("program.image",) if program.image and not starts_images else ()
    pod = program.pod
    if pod is None:
        return image
    fields = msgspec.structs.fields(type(pod))
    ignored = (each.encode_name for each in fields if getattr(pod, each.name) not in (None, (), {}))
    return (*image, *(f"program.pod.{name}" for name in ignored))


def ignored_condition(program: Program, *, starts_images: bool) -> tuple[Condition, ...]:
    """The condition Ignored, if there is something to say."""
    names = ignored_fields(program, starts_images=starts_images)
    message = f"{', '.join(names)}: without effect on this machine"
    return (Condition(type="Ignored", status="True", reason="NotACluster", message=message),) if names else ()
