"""What a Work becomes: an Indexed Job or a JobSet, and its status from their pods. Pure."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .work_pods import time_of
    from .work_status import REFUSED
    from .work_translation import WORKS

__all__ = [
    "REFUSED", "WORKS", "time_of",
]  # fmt: skip

__getattr__ = lazy(__name__)
