"""No test fails for being slow on a busy machine; which tests are quick; nobody closes pytest's standard error."""

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("lykeion", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)
settings.load_profile("lykeion")

# Threads of OpenBLAS and OpenMP wait for each other in circles: most of a core's work where rooms run side by side.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# The fastest engine is looked for where a test asks for it, not by each server that a test starts.
os.environ.setdefault("LYKEION_EMBEDDER_ENGINE", "litert")

# The job of a shell in the background begins with SIGINT ignored, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

with contextlib.suppress(ImportError):
    # TensorFlow's logger keeps the standard error of its import and closes it when another library resets logging.
    from absl import logging

    logging.get_absl_handler().python_handler.stream = sys.__stderr__

SERVERS = Path(__file__).with_name("e2e")
NOT_QUICK = ("tensorflow", "jax", "playwright")


class Quick(MetaPathFinder):
    """Skips, with ``--quick``, every test and file of tests that imports what trains, or drives a browser."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> None:
        if name in NOT_QUICK:
            pytest.skip(f"{name} is not quick", allow_module_level=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="no training, no browser, no server, nothing marked slow")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.quick:
        settings.load_profile("quick")
        sys.meta_path.insert(0, Quick())


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if config.option.quick and collection_path.parent == SERVERS else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.quick:
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


def pytest_collection_finish() -> None:
    """What was imported by now lives to the end: it need not be looked through for garbage again and again."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A room without a quick test is no failure."""
    if session.config.option.quick and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK
