"""What images of a kind have in common, and what the platform expects of them.

How they are to be run (probes, root file system) is no field of an OCI image, so it is said by labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["training", "serving"]

LABELS = "io.github.lykeion."
MODEL_PATH = "srv/model"
INDEX_PATH = "/srv/index"
PORT = 8080
NOBODY = "65532:65532"
"""The user that images of distroless and Chainguard call nonroot."""


@dataclass(frozen=True)
class Preset:
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    workdir: str
    environment: Mapping[str, str]
    user: str = NOBODY
    ports: tuple[int, ...] = ()
    probes: Mapping[str, str] | None = None


_PYTHON = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", "LYKEION_HOME": "/tmp/lykeion"}  # noqa: S108

KINDS: Mapping[Kind, Preset] = {
    "training": Preset(("lykeion", "train"), ("--help",), "/work", _PYTHON),
    "serving": Preset(
        ("lykeion", "serve"),
        ("--host", "0.0.0.0", "--port", str(PORT)),  # noqa: S104  (a container's own address)
        "/srv",
        {**_PYTHON, "LYKEION_INDEX": INDEX_PATH},
        ports=(PORT,),
        probes={"live": "/healthz", "ready": "/readyz"},
    ),
}
