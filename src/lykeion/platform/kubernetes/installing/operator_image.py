"""The operator's image: this package on a base with Python, built by ``lykeion.images``, named by digest.

Programs that fetch, publish and build run in it, too.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from lykeion import __version__, images
from lykeion.core import CONSOLE, Reporter, Unavailable
from lykeion.oci import Descriptor, Layout

NAME = "lykeion-operator"
EXTRAS = "model-server,platform,search"
"""What the operator needs, and what programs without an image may run: ``lykeion models``, ``images``, ``serve``."""
_BY_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")


def build_operator_image(
    base: str, layout: Layout, *, wheel: Path | None = None, reporter: Reporter = CONSOLE
) -> Descriptor:
    """Build it into a layout, as ``lykeion-operator:VERSION``.

    ``base`` is a directory with a root file system, an image of the layout, or one in a registry by digest; its
    Python has the version of this one. ``wheel`` is this package's, by default what pip finds of this version.
    Raises Unavailable if pip cannot get the packages, and what ``images.build`` raises.
    """
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        _fetch_wheels(wheel, place / "wheels")
        (place / "requirements.txt").write_text(images.lock(place / "wheels"))
        description = {
            "schema": 1,
            "name": NAME,
            "kind": "training",
            "base": _base(base, layout),
            "python": {"requirements": "requirements.txt", "wheels": ["wheels"]},
            "entrypoint": ["lykeion"],
            "command": ["operator", "run"],
        }
        (place / "image.yaml").write_text(json.dumps(description))  # JSON is YAML
        spec = images.read_spec(place / "image.yaml")
        return images.build(spec, layout, ref=f"{NAME}:{__version__}", reporter=reporter).descriptor


def push_operator_image(image: Descriptor, layout: Layout, prefix: str, *, reporter: Reporter = CONSOLE) -> str:
    """Push it below a prefix, such as registry.example.com/shop. Returns its name by digest."""
    target = images.image_reference(f"{prefix.rstrip('/')}/{NAME}:{__version__}")
    images.push_image(layout, image, target, reporter=reporter)
    return f"{prefix.rstrip('/')}/{NAME}@{image.digest}"


def pinned(image: str, layout: Layout) -> str:
    """An image by digest; one without a registry, which nodes must have, as it is. Raises NotFound, StoreError."""
    if "@" in image or not images.is_in_registry(image):
        return image
    place, slash, name = image.rpartition("/")
    return f"{place}{slash}{name.partition(':')[0]}@{images.image_digest(layout, image)}"


def _base(base: str, layout: Layout) -> dict[str, str]:
    if Path(base).is_dir():
        return {"rootfs": str(Path(base).absolute())}
    if _BY_DIGEST.fullmatch(base) and images.is_in_registry(base):
        return {"registry": base}
    return {"layout": str(layout.root.absolute()), "ref": base}


def _fetch_wheels(wheel: Path | None, directory: Path) -> None:
    wanted = f"{wheel.absolute()}[{EXTRAS}]" if wheel else f"lykeion[{EXTRAS}]=={__version__}"
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(directory), wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [f"pip: {done.returncode}"]
        hint = "" if wheel else "; give the wheel: --wheel FILE"
        raise Unavailable(f"{wanted}: {lines[-1].removeprefix('ERROR: ')}{hint}")
