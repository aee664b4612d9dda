"""The virtual environment in an image: its paths, and the files that define it (PEP 405)."""

from collections.abc import Mapping
from dataclasses import dataclass
from os.path import relpath

from lykeion.images.layers.entries import TarEntry, file_entry, symlink_entry

from .interpreter import Interpreter

ROOT = "opt/venv"

_PROGRAM = """#!{python}
import sys

from {module} import {name}

if __name__ == "__main__":
    sys.exit({attribute}())
"""


@dataclass(frozen=True)
class Environment:
    """Paths are relative to the image's root, except ``python``, which is in the first line of programs."""

    interpreter: Interpreter

    @property
    def python(self) -> str:
        return f"/{ROOT}/bin/python3"

    @property
    def programs(self) -> str:
        return f"{ROOT}/bin"

    @property
    def site_packages(self) -> str:
        return f"{ROOT}/lib/{self.interpreter.name}/site-packages"

    @property
    def schemes(self) -> Mapping[str, str]:
        """Destinations of the directories in a wheel's .data; ``{name}`` is the project's name."""
        return {
            "purelib": self.site_packages,
            "platlib": self.site_packages,
            "headers": f"{ROOT}/include/site/{self.interpreter.name}/{{name}}",
            "data": ROOT,
        }

    def relative(self, path: str) -> str:
        """A path as RECORD writes it."""
        return relpath(f"/{path}", f"/{self.site_packages}")

    def program(self, module: str, attribute: str) -> str:
        """The text of a program that calls an entry point."""
        return _PROGRAM.format(python=self.python, module=module, name=attribute.split(".")[0], attribute=attribute)

    def entries(self) -> list[TarEntry]:
        """The files that make the directory a virtual environment of the base's Python."""
        home = self.interpreter.path.rpartition("/")[0]
        settings = f"home = {home}\ninclude-system-site-packages = false\nversion = {self.interpreter.short}\n"
        return [
            file_entry(f"{ROOT}/pyvenv.cfg", settings.encode()),
            symlink_entry(self.python.lstrip("/"), self.interpreter.path),
            symlink_entry(f"{self.programs}/python", "python3"),
            symlink_entry(f"{self.programs}/{self.interpreter.name}", "python3"),
        ]
