"""Container images for training and serving, assembled reproducibly and without a daemon."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .building.assembly import BuiltImage, build
    from .building.volume import VolumeImage, build_volume
    from .contexts.directory_digest import directory_digest, directory_signature
    from .contexts.git_context import check_out, git_commit
    from .contexts.inside_context import check_inside
    from .dockerfile import build_dockerfile, is_dockerfile
    from .errors import ImageError, NoSuchImage
    from .image import find_image, open_image_layout
    from .image_description import describe_image, image_list, read_attached
    from .pruning import Pruned, prune
    from .python.wheelhouse import lock
    from .registries import image_digest, image_reference, is_in_registry, pull_image, push_image
    from .running.image_volumes import Volume
    from .running.program_variables import read_variables, variables_file
    from .running.run_image import run
    from .running.sandbox import can_start_images
    from .spec import ImageSpec, read_spec

__all__ = [
    "BuiltImage", "ImageError", "ImageSpec", "NoSuchImage", "Pruned", "Volume", "VolumeImage", "build",
    "build_dockerfile", "build_volume", "can_start_images", "check_inside", "check_out", "describe_image",
    "directory_digest", "directory_signature", "find_image", "git_commit", "image_digest", "image_list",
    "image_reference", "is_dockerfile", "is_in_registry", "lock", "open_image_layout", "prune", "pull_image",
    "push_image", "read_attached", "read_spec", "read_variables", "run", "variables_file",
]  # fmt: skip
__getattr__ = lazy(__name__)
