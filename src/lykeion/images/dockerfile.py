"""Images from a Dockerfile, whose RUN needs a builder: runs buildah and imports its image into the layout."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lykeion.core import Unavailable, Unsupported, writing
from lykeion.oci import Descriptor, Layout, with_ref

from .errors import ImageError
from .image import find_image, manifests

NAMES = ("Dockerfile", "Containerfile")


def is_dockerfile(path: Path) -> bool:
    return path.name in NAMES or path.suffix.removeprefix(".") in NAMES


def build_dockerfile(dockerfile: Path, output: Layout, ref: str) -> Descriptor:
    """Build with the file's directory as context. Raises Unsupported without buildah, ImageError if it fails."""
    if not shutil.which("buildah"):
        raise Unsupported(f"{dockerfile} needs a builder, and buildah is not installed; or describe it by image.yaml")
    with tempfile.TemporaryDirectory() as work:
        for command in commands(dockerfile, Path(work, "storage"), Path(work, "layout"), ref):
            if subprocess.run(command, stdout=sys.stderr).returncode:
                raise ImageError(f"buildah failed on {dockerfile}; see its output above")
        built = Layout.open(Path(work, "layout"))
        image = find_image(built, None)
        with writing(output.root, Unavailable, "free disk space"), output.lock_content():
            for descriptor, manifest in manifests(built, image):
                for blob in (*manifest.blobs, descriptor):
                    output.take(built, blob)
            output.update(lambda entries: with_ref(entries, image, ref))
    return image


def commands(dockerfile: Path, storage: Path, layout: Path, ref: str) -> list[list[str]]:
    """buildah without a daemon or kernel file systems: plain copies, chroot, and timestamps set to zero."""
    buildah = ["buildah", "--root", str(storage), "--runroot", f"{storage}-run", "--storage-driver", "vfs"]
    return [
        [
            *(*buildah, "build", "--isolation", "chroot", "--timestamp", "0", "--format", "oci"),
            *("--file", str(dockerfile), "--tag", "image", str(dockerfile.parent)),
        ],
        [*buildah, "push", "image", f"oci:{layout}:{ref}"],
    ]
