"""Fields of programs that mean nothing on a machine; users are told, since a cluster would act on them."""

import msgspec

from lykeion.control import Condition
from lykeion.platform.resources.program import Program


def ignored_fields(program: Program) -> tuple[str, ...]:
    """Such as ``program.pod.tolerations``."""
    pod = program.pod
    if pod is None:
        return ()
    fields = msgspec.structs.fields(type(pod))
    return tuple(
        f"program.pod.{each.encode_name}" for each in fields if getattr(pod, each.name) not in (None, (), {})
    )


def ignored_condition(program: Program) -> tuple[Condition, ...]:
    """The condition Ignored, if there is something to say."""
    names = ignored_fields(program)
    message = f"{', '.join(names)}: without effect on this machine"
    return (Condition(type="Ignored", status="True", reason="NotACluster", message=message),) if names else ()
