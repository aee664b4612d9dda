"""The bill of materials of an image, as CycloneDX 1.6 JSON (ECMA-424)."""

import uuid
from typing import Any
from urllib.parse import quote

from lykeion import __version__
from lykeion.images.spec import ImageSpec

from .packages import Package
from .platform_image import PlatformImage
from .python_layers import Wheel


def bill_of_materials(spec: ImageSpec, part: PlatformImage) -> dict[str, Any]:
    """Wheels and the base's packages. It has no timestamp, so the same image gives the same bill."""
    digest = part.manifest.digest
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "lykeion", "version": __version__}]},
            "component": {
                "type": "container",
                "bom-ref": digest,
                "name": spec.name,
                "version": digest,
                "hashes": [_sha256(digest.removeprefix("sha256:"))],
            },
        },
        "components": [
            *(_wheel(wheel) for wheel in part.python.wheels),
            *(_package(package) for package in part.base.facts.packages),
        ],
    }


def _wheel(wheel: Wheel) -> dict[str, Any]:
    file = wheel.file
    address = f"pkg:pypi/{file.name}@{quote(file.version)}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": address,
        "name": file.name,
        "version": file.version,
        "purl": address,
        "hashes": [_sha256(file.sha256)],
    }
    metadata = wheel.unpacked.metadata
    if expression := metadata.get("License-Expression"):
        component["licenses"] = [{"expression": expression}]
    elif licence := metadata.get("License", "").strip():
        component["licenses"] = [{"license": {"name": licence.splitlines()[0][:200]}}]
    return component


def _package(package: Package) -> dict[str, Any]:
    address = f"pkg:deb/debian/{quote(package.name)}@{quote(package.version)}?arch={package.architecture}"
    return {
        "type": "library",
        "bom-ref": address,
        "name": package.name,
        "version": package.version,
        "purl": address,
    }


def _sha256(value: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": value}
