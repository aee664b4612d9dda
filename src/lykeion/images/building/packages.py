"""Packages of a base, for the bill of materials."""

from dataclasses import dataclass

DEBIAN_STATUS = "var/lib/dpkg/status"


@dataclass(frozen=True)
class Package:
    name: str
    version: str
    architecture: str = ""


def debian_packages(status: bytes) -> tuple[Package, ...]:
    """Installed packages of a dpkg status file (deb-control(5)), by name."""
    found: list[Package] = []
    for paragraph in status.decode("utf-8", "replace").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[0] != " ")
        if fields.get("Status", "").endswith(" installed") and "Package" in fields and "Version" in fields:
            found.append(Package(fields["Package"], fields["Version"], fields.get("Architecture", "")))
    return tuple(sorted(found, key=lambda package: package.name))
