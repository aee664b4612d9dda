"""Profiles of phones: exports block files and a script for TensorFlow's benchmark_model, and reads its results.

``export_to_phone`` writes a directory for the owner of the phone; ``import_phone_results`` reads it with the results.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lykeion.core import CONSOLE, Invalid, Reporter, fitting, read_json, write_atomically, writing
from lykeion.engines.choosing import DeviceProfile
from lykeion.nas.design_space.named_spaces import find_space
from lykeion.nas.design_space.space import Space

from .pieces import pieces
from .profiling import MeasuredDevice, profile_of

SCHEMA = "lykeion.device-blocks"
VERSION = 1
MAX_MANIFEST_BYTES = 4 << 20
MAX_RESULT_BYTES = 16 << 20
MAX_RESULT_FILES = 20_000

WHOLE_MICROSECONDS_SERVE = 100
"""Below this many µs, benchmark_model's minimum, a whole number, has an error of 1 % or more."""


class PhoneError(Invalid):
    """An export that cannot be written, or results that cannot be read; the message names the file."""


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """One run of benchmark_model, in µs. ``minimum_us`` is whole; None if the output does not contain it."""

    graph: str
    average_us: float
    minimum_us: float | None


def export_to_phone(space: Space, directory: Path, *, threads: int = 1, reporter: Reporter = CONSOLE) -> int:
    """Write every piece of the space, a manifest and run.sh. Returns the number of pieces. Raises PhoneError."""
    made = pieces(space)
    names = {f"{number:04d}": name for number, name in enumerate(made)}
    manifest = {"schema": SCHEMA, "version": VERSION, "space": space.name, "threads": threads, "pieces": names}
    if (directory / "results").exists() and _manifest(directory / "manifest.json") != (space, threads, names):
        raise PhoneError(f"{directory}: has results of another export; give another directory")
    with writing(directory, PhoneError):
        with reporter.progress("Writing blocks", len(made), unit="files") as progress:
            for number, write in zip(names, made.values(), strict=True):
                write_atomically(directory / "blocks" / f"{number}.tflite", write(), durable=False)
                progress.advance()
        script = directory / "run.sh"
        write_atomically(script, _SCRIPT.replace("@THREADS@", str(threads)).encode())
        script.chmod(0o755)
        write_atomically(directory / "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())
    return len(names)


def import_phone_results(directory: Path, *, name: str = "") -> DeviceProfile:
    """The profile made from the results in an exported directory. Raises PhoneError, SpaceError, LatencyError.

    A piece's time is the minimum over its runs.
    """
    space, threads, names = _manifest(directory / "manifest.json")
    runs: dict[str, list[BenchmarkRun]] = defaultdict(list)
    described: dict[str, str] = {}
    for file in _result_files(directory / "results"):
        text = _text(file)
        if file.name == "device.txt":
            described = dict(_fields(text))
            continue
        for result in parse(text):
            # A file contains the runs of the piece in its name, unless benchmark_model's output names another.
            runs[names.get(result.graph or file.name.partition("-")[0], "")].append(result)
    missing = [number for number, piece in names.items() if piece not in runs]
    if missing:
        raise PhoneError(
            f"{directory}/results: no result of {len(missing)} of {len(names)} blocks, {missing[0]}.tflite first; "
            "run run.sh again: it resumes"
        )
    times_ms = {piece: least_us(results) / 1e3 for piece, results in runs.items() if piece}
    if wrong := [number for number, piece in names.items() if not 0 < times_ms[piece] < float("inf")]:
        raise PhoneError(f"{directory}/results: {wrong[0]}.tflite took no time; delete its results and run run.sh")
    device = MeasuredDevice(
        name=name or described.get("model") or "phone",
        soc=described.get("soc", ""),
        engine="LiteRT benchmark_model",
        engine_version=described.get("benchmark_model", ""),
        threads=threads,
        precision="float32",
        source="run.sh of lykeion nas profile --export",
    )
    return profile_of(space, times_ms, device)


def parse(text: str) -> Iterator[BenchmarkRun]:
    """Every finished run in benchmark_model's output, of any release; other lines are ignored."""
    graph, minimum = "", None
    for line in text.splitlines():
        if match := _GRAPH.search(line):
            graph, minimum = match[1], None
        elif match := _COUNT.search(line):  # the warm-up's comes first and is replaced by the runs'
            minimum = float(match[1] or match[2])
        elif match := _AVERAGE.search(line):
            yield BenchmarkRun(graph, float(match[1]), minimum)
            minimum = None


_GRAPH = re.compile(r"Graph: \[(?:[^\]]*/)?([^\]/]*?)(?:\.tflite)?\]")
_NUMBER = r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?![\d.])"
_COUNT = re.compile(rf"count=\d+ (?:.*\bmin={_NUMBER}|curr={_NUMBER}$)")
_AVERAGE = re.compile(rf"nference timings in us: .*(?:Inference \(avg\)|no stats): {_NUMBER}")


def least_us(results: Iterable[BenchmarkRun]) -> float:
    """The least of the minima, or of the averages if the minimum in whole µs is too coarse or missing."""
    results = list(results)
    minima = [each.minimum_us for each in results if each.minimum_us is not None]
    if minima and min(minima) >= WHOLE_MICROSECONDS_SERVE:
        return min(minima)
    return min(each.average_us for each in results)


def _manifest(path: Path) -> tuple[Space, int, Mapping[str, str]]:
    """Space, threads, and the name of each piece by its file's number."""
    if not path.is_file():
        raise PhoneError(f"{path} is not there; name the directory that --export wrote, with results/ in it")
    plain = read_json(path, PhoneError, "manifest of blocks", limit=MAX_MANIFEST_BYTES)
    with fitting(PhoneError, "manifest of blocks", where=f"{path}: "):
        if (plain["schema"], plain["version"]) != (SCHEMA, VERSION):
            raise PhoneError(
                f"{path}: schema {plain['schema']!r}, version {plain['version']!r}; this release reads "
                f"{SCHEMA!r}, version {VERSION}"
            )
        space, threads, names = plain["space"], plain["threads"], dict(plain["pieces"])
    return find_space(str(space)), threads, names


def _result_files(directory: Path) -> list[Path]:
    if not directory.is_dir():
        raise PhoneError(f"{directory}: no results there; run run.sh with the phone connected")
    files = sorted(path for path in directory.glob("*.txt") if path.is_file())
    if len(files) > MAX_RESULT_FILES:
        raise PhoneError(f"{directory}: more than {MAX_RESULT_FILES} files; these are no results of run.sh")
    return files


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_RESULT_BYTES:
            raise PhoneError(
                f"{path}: larger than {MAX_RESULT_BYTES >> 20} MiB; that is no output of benchmark_model"
            )
        return path.read_text(errors="replace")
    except OSError as error:
        raise PhoneError(f"{path}: cannot read: {error.strerror or error}") from None


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, colon, value = line.partition(": ")
        if colon:
            yield name.strip()[:100], value.strip()[:200]


_SCRIPT = """\
#!/bin/sh
# Times every block on the phone that adb sees, PASSES times (default 3), into results/. Run it again to go on.
#
#   ./run.sh PATH/TO/benchmark_model [PASSES]
#
# benchmark_model for the phone's ABI: https://ai.google.dev/edge/litert (the benchmark tool, native binary).
# Put the phone in flight mode, with its screen off, charged and cool.
set -eu
[ $# -ge 1 ] || { sed -n '2,6s/^# *//p' "$0" >&2; exit 2; }
tool=$1
passes=${2:-3}
threads=@THREADS@
cd "$(dirname "$0")"
far=/data/local/tmp/lykeion
mkdir -p results

adb shell mkdir -p $far </dev/null
adb push "$tool" $far/benchmark_model >/dev/null
adb push blocks $far/ >/dev/null
adb shell chmod 755 $far/benchmark_model </dev/null
{
    echo "model: $(adb shell getprop ro.product.model </dev/null | tr -d '\\r')"
    echo "soc: $(adb shell getprop ro.soc.model </dev/null | tr -d '\\r')"
    echo "benchmark_model: $(cksum <"$tool" | cut -d' ' -f1)"
} >results/device.txt

pass=1
while [ "$pass" -le "$passes" ]; do
    for block in blocks/*.tflite; do
        name=$(basename "$block" .tflite)
        result=results/$name-$pass.txt
        if ! grep -q 'nference timings' "$result" 2>/dev/null; then
            adb shell $far/benchmark_model --graph=$far/blocks/$name.tflite --num_threads=$threads \\
                --warmup_min_secs=0.1 --num_runs=50 --min_secs=0.3 --max_secs=20 --use_xnnpack=true \\
                </dev/null >"$result.part" 2>&1
            mv "$result.part" "$result"
            echo "pass $pass: $name" >&2
        fi
    done
    pass=$((pass + 1))
done
echo "Done. Back on the computer: lykeion nas profile --import $(basename "$PWD") --out phone.json" >&2
"""
