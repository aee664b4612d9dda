"""Settings shared by images of a kind, which the platform expects.

OCI images have no fields for how they are run (probes, root file system), so labels say it.
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
"""The user that distroless and Chainguard images call nonroot."""


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
