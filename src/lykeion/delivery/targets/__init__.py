"""From versions in the registry to what each class of devices may run: files, deltas, limits, reasons."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .device_classes import ClassFile, DeviceClass, Verdict, class_of, read_class_file
    from .explaining import Explanation, explain
    from .limiting import revoke, set_minimum
    from .published_records import read_record, revoked_versions
    from .publishing import Published, PublishOptions, publish
    from .space_price import IndexSpace

__all__ = [
    "ClassFile", "DeviceClass", "Explanation", "IndexSpace", "PublishOptions", "Published", "Verdict", "class_of",
    "explain", "publish", "read_class_file", "read_record", "revoke", "revoked_versions", "set_minimum",
]  # fmt: skip

__getattr__ = lazy(__name__)
