"""How an image was made, as an in-toto statement with SLSA's provenance 1.

https://slsa.dev/spec/v1.0/provenance
"""

from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from lykeion import __version__
from lykeion.images.layers.compression import compressor
from lykeion.images.spec import ImageSpec

from .platform_image import PlatformImage

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://github.com/lykeion/lykeion/blob/main/docs/images.md#provenance"
BUILDER = "https://github.com/lykeion/lykeion"


def provenance(spec: ImageSpec, part: PlatformImage) -> dict[str, Any]:
    """Inputs and outputs, without paths and times of the building machine."""
    return {
        "_type": STATEMENT,
        "subject": [{"name": spec.name, "digest": _digest(part.manifest.digest)}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "name": spec.name,
                    "kind": spec.kind,
                    "platform": str(part.platform),
                    "entrypoint": list(spec.entrypoint),
                    "command": list(spec.command),
                    "user": spec.user,
                    "environment": dict(spec.environment),
                    "labels": dict(spec.labels),
                },
                "internalParameters": {"compressor": compressor(spec.compression)},
                "resolvedDependencies": _dependencies(part),
            },
            "runDetails": {"builder": {"id": BUILDER, "version": {"lykeion": __version__}}},
        },
    }


def _dependencies(part: PlatformImage) -> list[dict[str, Any]]:
    interpreter = part.base.facts.interpreter
    base = {"name": f"base {part.base.name}", "digest": _digest(part.base.digest)}
    if interpreter:
        base["annotations"] = {"python": asdict(interpreter)}
    wheels = [
        {
            "uri": f"pkg:pypi/{wheel.file.name}@{quote(wheel.file.version)}",
            "name": wheel.file.path.name,
            "digest": {"sha256": wheel.file.sha256},
        }
        for wheel in part.python.wheels
    ]
    return [base, *wheels, *({"name": layer.title, "digest": _digest(layer.diff_id)} for layer in part.own)]


def _digest(digest: str) -> dict[str, str]:
    algorithm, _, value = digest.partition(":")
    return {algorithm: value}
