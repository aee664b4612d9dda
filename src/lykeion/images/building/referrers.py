"""Bill of materials and provenance of an image, as manifests that refer to it.

They are not part of the image's digest. Each kind is attached at most once.
"""

import json
from typing import Any

from lykeion.images.spec import ImageSpec
from lykeion.oci import EMPTY, EMPTY_BLOB, Descriptor, ImageManifest, Layout, media_types

from .bill import bill_of_materials
from .platform_image import PlatformImage
from .provenance import provenance

BILL = "application/vnd.cyclonedx+json"
PROVENANCE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "in-toto.io/predicate-type"


def attach(output: Layout, spec: ImageSpec, part: PlatformImage) -> None:
    """Attach the documents that the image does not have yet."""
    if not output.referrers(part.manifest.digest, BILL):
        _attach(output, part.manifest, BILL, bill_of_materials(spec, part), {})
    if not output.referrers(part.manifest.digest, PROVENANCE):
        statement = provenance(spec, part)
        _attach(output, part.manifest, PROVENANCE, statement, {PREDICATE_TYPE: statement["predicateType"]})


def _attach(
    output: Layout, subject: Descriptor, kind: str, document: dict[str, Any], annotations: dict[str, str]
) -> None:
    output.put(EMPTY_BLOB, media_types.EMPTY)
    blob = output.put(json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n", kind)
    output.put_manifest(ImageManifest(EMPTY, (blob,), kind, subject, annotations))
