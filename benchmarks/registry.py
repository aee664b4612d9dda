"""Push and pull of one large model, ours beside oras and skopeo, through Debian's docker-registry on loopback.

Each client runs as its command, start included, on files of its own: the registry has seen none of them before. The
rounds of all clients are interleaved; the best of each counts, for a disk that is busy elsewhere only ever delays.
Needs docker-registry; oras and skopeo where they are found (oras builds from its Go module, oras.land/oras/cmd/oras).
Writes docs/benchmarks/registry.md.

    python benchmarks/registry.py [--mib 1024] [--rounds 5] [--oras PATH]
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from measuring.docker_registry import docker_registry
from measuring.machine import describe

from lykeion.core import CONSOLE

ROOT = Path(__file__).parents[1]
TYPE = "application/vnd.cncf.model.manifest.v1+json"
LYKEION = (sys.executable, "-c", "from lykeion.cli import main; main()")


@dataclass(frozen=True)
class Client:
    """``push`` and ``pull`` are (host, name, directory) to a command, which runs in the directory."""

    name: str
    push: Callable[[str, str, Path], Sequence[str]]
    pull: Callable[[str, str, Path], Sequence[str]]


@dataclass(frozen=True)
class Run:
    seconds: float
    peak_mib: float


def clients(oras: str | None, skopeo: str | None) -> Iterator[Client]:
    yield Client(
        "lykeion",
        lambda host, name, at: (*LYKEION, "models", "push", "--quiet", str(at), f"{host}/{name}:v"),
        lambda host, name, at: (*LYKEION, "models", "pull", "--quiet", f"{host}/{name}:v", str(at / "out")),
    )
    if oras:
        plain = "--plain-http", "--no-tty"
        yield Client(
            "oras",
            lambda host, name, at: (oras, "push", *plain, "--artifact-type", TYPE, f"{host}/{name}:v", "model.bin"),
            lambda host, name, at: (oras, "pull", *plain, f"{host}/{name}:v", "--output", str(at / "out")),
        )
    if skopeo:
        copy = skopeo, "copy", "--quiet"
        yield Client(
            "skopeo",
            lambda host, name, at: (
                *copy,
                "--dest-tls-verify=false",
                f"oci:{at}/layout:v",
                f"docker://{host}/{name}:v",
            ),
            lambda host, name, at: (*copy, "--src-tls-verify=false", f"docker://{host}/{name}:v", f"oci:{at}/out:v"),
        )


@click.command(help=__doc__)
@click.option("--mib", default=1024, show_default=True, help="Size of the model.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--oras", default=shutil.which("oras"), help="The oras program.")
@click.option("--out", default=ROOT / "docs" / "benchmarks", type=click.Path(path_type=Path))
def main(mib: int, rounds: int, oras: str | None, out: Path) -> None:
    found = list(clients(oras, shutil.which("skopeo")))
    best: dict[tuple[str, str], Run] = {}
    with tempfile.TemporaryDirectory() as temporary, CONSOLE.progress("rounds", rounds * len(found)) as progress:
        home = Path(temporary)
        (home / "registry").mkdir()
        with docker_registry(home / "registry") as host:
            for round_ in range(rounds):
                for client in found:
                    for kind, run in measure(client, host, f"m{round_}-{client.name}", home, mib):
                        known = best.get((client.name, kind))
                        if known is None or run.seconds < known.seconds:
                            best[client.name, kind] = run
                    progress.advance()
    page = report(best, [client.name for client in found], mib, rounds)
    (out / "registry.md").write_text(page)
    print(page)


def measure(client: Client, host: str, name: str, home: Path, mib: int) -> Iterator[tuple[str, Run]]:
    with model(home, client.name, mib) as directory:
        yield "push", timed(client.push(host, name, directory), directory, home)
        shutil.rmtree(home / "state", ignore_errors=True)  # what was pulled before does not help
        yield "pull", timed(client.pull(host, name, directory), directory, home)
        assert sum(path.stat().st_size for path in (directory / "out").rglob("*") if path.is_file()) >= mib * 2**20


@contextmanager
def model(home: Path, client: str, mib: int) -> Iterator[Path]:
    """A directory with a new model: for skopeo, which pushes no plain files, as a layout that oras' kind of manifest
    is in."""
    with tempfile.TemporaryDirectory(dir=home) as temporary:
        directory = Path(temporary)
        with (directory / "model.bin").open("wb") as file:
            for _ in range(mib):
                file.write(os.urandom(2**20))
        if client == "skopeo":
            as_layout(directory)
        yield directory


def as_layout(directory: Path) -> None:
    from lykeion.oci import EMPTY, EMPTY_BLOB, ImageManifest, Layout

    layout = Layout.open(directory / "layout", create=True)
    with layout.writer() as writer, (directory / "model.bin").open("rb") as file:
        shutil.copyfileobj(file, writer)
    blob = writer.descriptor("application/octet-stream")
    layout.put(EMPTY_BLOB, EMPTY.media_type)
    layout.put_manifest(ImageManifest(EMPTY, (blob,), artifact_type=TYPE), "v")


def timed(command: Sequence[str], directory: Path, home: Path) -> Run:
    """Seconds from start to end, and the most memory that the process had."""
    subprocess.run(["sync"], check=True)
    environment = {**os.environ, "LYKEION_HOME": str(home / "state"), "PYTHONPYCACHEPREFIX": str(home / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=directory, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return Run(seconds, usage.ru_maxrss / 1024)


def report(best: dict[tuple[str, str], Run], names: list[str], mib: int, rounds: int) -> str:
    lines = [
        "# Models to and from a registry",
        "",
        f"{mib:,} MiB through docker-registry on loopback, best of {rounds} rounds, load "
        f"{os.getloadavg()[2]:.1f}; {describe()}.",
        "",
        "| client | push s | of ours | push MiB/s | pull s | of ours | pull MiB/s | memory MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    ours = {kind: best["lykeion", kind].seconds for kind in ("push", "pull")}
    for name in names:
        cells: list[str] = []
        for kind in ("push", "pull"):
            seconds = best[name, kind].seconds
            cells += [f"{seconds:.2f}", f"{seconds / ours[kind]:.2f}", f"{mib / seconds:,.0f}"]
        peak = max(best[name, kind].peak_mib for kind in ("push", "pull"))
        lines.append(f"| {name} | {' | '.join(cells)} | {peak:.0f} |")
    lines += [
        "",
        '"Of ours" is a client\'s time over ours, which is our throughput over its: above 1 we are faster.',
        "",
        "`python benchmarks/registry.py` writes this page.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
