"""Small wheels, bases and descriptions to build images from."""

import base64
import csv
import hashlib
import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

from lykeion.images.python.interpreter import Interpreter

PYTHON = Interpreter("/usr/bin/python3.11", (3, 11), "x86_64", glibc=(2, 36))
MACHINES = {"x86_64": 62, "aarch64": 183}


def make_wheel(
    directory: Path,
    name: str = "shoes",
    version: str = "1.0",
    files: Mapping[str, bytes] | None = None,
    *,
    tag: str = "py3-none-any",
    entry_points: str = "",
    recorded: Mapping[str, bytes] | None = None,
    programs: tuple[str, ...] = (),
    told_version: str | None = None,
) -> Path:
    """A wheel whose RECORD is right, but for the contents in ``recorded``, which it then tells of wrongly.

    METADATA tells ``told_version``, if that is given.
    """
    info = f"{name}-{version}.dist-info"
    content = {f"{name}/__init__.py": b"size = 42\n"} if files is None else dict(files)
    told = version if told_version is None else told_version
    content[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {told}\nLicense: MIT\n".encode()
    content[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    if entry_points:
        content[f"{info}/entry_points.txt"] = entry_points.encode()
    rows = io.StringIO()
    for path, data in content.items():
        wrong = (recorded or {}).get(path, data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(wrong).digest()).rstrip(b"=").decode()
        csv.writer(rows, lineterminator="\n").writerow([path, f"sha256={digest}", len(wrong)])
    content[f"{info}/RECORD"] = rows.getvalue().encode() + f"{info}/RECORD,,\n".encode()
    directory.mkdir(parents=True, exist_ok=True)
    wheel = directory / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            member = zipfile.ZipInfo(path)
            member.external_attr = (0o100755 if path in programs else 0o100640) << 16
            archive.writestr(member, data)
    return wheel


def requirement(*wheels: Path) -> str:
    """Locked requirements for the wheels."""
    lines = []
    for wheel in wheels:
        name, version = wheel.name.split("-")[:2]
        lines.append(f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    return "".join(lines)


def make_rootfs(root: Path, machine: str = "x86_64", glibc: str = "2.36", python: str = "") -> Path:
    """What is read of a base with Python: a program's header, a C library's greeting, a package, a link."""
    header = b"\x7fELF\x02".ljust(18, b"\0") + struct.pack("<H", MACHINES[machine])
    libraries = root / "usr" / "lib" / f"{machine}-linux-gnu"
    for directory in (root / "usr" / "bin", libraries, root / "var" / "lib" / "dpkg", root / "srv", root / "tmp"):
        directory.mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "usr" / "bin" / "python3.11").write_bytes(header + f"\0no 3.11.99\0{python}\0".encode())
    (root / "usr" / "bin" / "python3").symlink_to("python3.11")
    (root / "lib").symlink_to("usr/lib")
    greeting = f"GNU C Library (Debian GLIBC) stable release version {glibc}.\n"
    (libraries / "libc.so.6").write_bytes(header + greeting.encode())
    (root / "var" / "lib" / "dpkg" / "status").write_text(
        "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2.15-2+b13\n"
        "Description: a shell\n Version: not this\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
    )
    for path in (root, *root.rglob("*")):
        if not path.is_symlink() and path.name != "tmp":
            path.chmod(0o755 if path.is_dir() else 0o644)
    return root


def describe(directory: Path, **fields: object) -> Path:
    """A description of an image; None for a field leaves it out."""
    import yaml

    values = {
        "schema": 1,
        "name": "shop",
        "kind": "serving",
        "base": {"rootfs": "root"},
        "compression": "none",
        **fields,
    }
    path = directory / "image.yaml"
    path.write_text(yaml.safe_dump({name: value for name, value in values.items() if value is not None}))
    return path
