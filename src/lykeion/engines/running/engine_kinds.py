"""The available engines, by name; each is imported when it is first used, and reports in one line what is missing."""

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Any

import numpy as np

from lykeion.core import NotFound, Unsupported, first_line

from .engine import Engine
from .operator_times import OperatorTime


class UnknownEngine(NotFound):
    """No engine has that name."""


@dataclass(frozen=True, slots=True)
class Kind:
    """``needs`` are the packages it imports, first the one whose version is reported; ``extra`` installs them."""

    name: str
    about: str
    module: str
    engine: str
    needs: tuple[str, ...]
    extra: str
    settings: tuple[tuple[str, Any], ...] = ()
    threads: bool = True
    """Whether the number of threads can be set."""
    usual: bool = True
    """Whether it is measured by default, if no engines are named."""

    @property
    def installed(self) -> bool:
        return not self._missing()

    @property
    def version(self) -> str:
        if not self.installed:
            return ""
        return _version_of(self.needs[0])

    def load(self, model: bytes, *, threads: int = 1, name: str = "model") -> Engine:
        """Raises ModelError; Unsupported if the engine is not installed, or does not support the model."""
        return getattr(self.imported(), self.engine)(model, threads=threads, name=name, **dict(self.settings))

    def operator_times(
        self, model: bytes, values: Sequence[np.ndarray], runs: int, *, threads: int = 1, name: str = "model"
    ) -> tuple[OperatorTime, ...]:
        """Operator times on these inputs. Raises ModelError; Unsupported, also if the engine does not report them."""
        told: Callable[..., tuple[OperatorTime, ...]] | None = getattr(self.imported(), "operator_times", None)
        if told is None:
            raise Unsupported(f"{self.name} does not tell the times of single operators; onnxruntime and openvino do")
        return told(model, values, runs, threads=threads, name=name)

    def imported(self) -> Any:
        """The engine's module. Raises Unsupported."""
        if missing := self._missing():
            raise Unsupported(f"{self.name} needs {missing[0]}: pip install 'lykeion[{self.extra}]'")
        try:
            return importlib.import_module(f".adapters.{self.module}", __package__)
        except (ImportError, OSError) as error:  # a system library that a package needs
            raise Unsupported(f"{self.name} does not load here: {first_line(error)}") from None

    def _missing(self) -> Sequence[str]:
        return [package for package in self.needs if importlib.util.find_spec(package) is None]


@cache
def _version_of(package: str) -> str:
    """Version of a package, whose distribution may have another name: tensorflow is also in tensorflow-cpu."""
    with suppress(PackageNotFoundError):  # looking at all distributions takes half a second
        return version(package)
    return version(_distributions()[package][0])


_distributions = cache(packages_distributions)
_litert = partial(Kind, needs=("ai_edge_litert",), extra="search")

KINDS = {
    kind.name: kind
    for kind in (
        _litert("litert", "LiteRT with XNNPACK's kernels, as it is by default", "litert", "LiteRTEngine"),
        _litert(
            "litert-builtin", "LiteRT with its own kernels", "litert", "LiteRTEngine", settings=(("xnnpack", False),)
        ),
        _litert(
            "litert-compiled",
            "LiteRT's CompiledModel; XNNPACK's kernels too",
            "litert_compiled",
            "CompiledModelEngine",
            usual=False,
        ),
        Kind(
            "onnxruntime",
            "ONNX Runtime; the file is converted",
            "onnxruntime",
            "OnnxRuntimeEngine",
            ("onnxruntime", "onnx"),
            "engines",
        ),
        Kind(
            "openvino",
            "OpenVINO, in float32 where the file is",
            "openvino",
            "OpenVinoEngine",
            ("openvino",),
            "engines",
        ),
        Kind(
            "openvino-fast",
            "OpenVINO, in bfloat16 or float16 where the processor computes in it faster",
            "openvino",
            "OpenVinoEngine",
            ("openvino",),
            "engines",
            settings=(("precision", ""),),
            usual=False,
        ),
        Kind(
            "mediapipe",
            "MediaPipe's ImageEmbedder, with its own preprocessing; reports its use to Google",
            "mediapipe",
            "MediaPipeEngine",
            ("mediapipe",),
            "mediapipe",
            threads=False,
            usual=False,
        ),
        Kind(
            "tensorflow",
            "the reference: operators one by one, slow",
            "tensorflow",
            "TensorFlowEngine",
            ("tensorflow",),
            "train",
            threads=False,
            usual=False,
        ),
    )
}


def find_kind(name: str) -> Kind:
    """Raises UnknownEngine."""
    if name not in KINDS:
        raise UnknownEngine(f"no engine is called {name!r}; there are {', '.join(KINDS)}")
    return KINDS[name]


def usual_kinds() -> tuple[Kind, ...]:
    """The installed engines that are measured by default."""
    return tuple(kind for kind in KINDS.values() if kind.usual and kind.installed)


def find_kinds(names: Sequence[str]) -> tuple[Kind, ...]:
    """The named engines, each once; without names the usual ones. Raises UnknownEngine."""
    return tuple(map(find_kind, dict.fromkeys(names))) if names else usual_kinds()
