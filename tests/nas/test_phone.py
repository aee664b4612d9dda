"""Outputs of benchmark_model here have the form of its releases from 2018 to today."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lykeion.core import SILENT
from lykeion.engines.running import LiteRTEngine
from lykeion.nas import LatencyTable, PhoneError, export_to_phone, find_space, import_phone_results
from lykeion.nas.devices.phone import BenchmarkRun, least_us, parse

SPACE = "single-path-32"

TODAY = """\
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Graph: [/data/local/tmp/lykeion/blocks/0012.tflite]
INFO: Loaded model /data/local/tmp/lykeion/blocks/0012.tflite
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: The input model file size (MB): 0.0169
INFO: Initialized session in 12.75ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=37 first=14744 curr=15520 min=13000 max=18295 avg=13764.3 std=967 p5=13100 median=13700 p95=15000

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
INFO: count=74 first=14850 curr=13315 min=13105 max=15765 avg=13520.2 std=470 p5=13200 median=13500 p95=14000

INFO: Inference timings in us: Init: 12750, First inference: 14744, Warmup (avg): 13764.3, Inference (avg): 13520.2
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE
INFO: Memory footprint delta from the start of the tool (MB): init=7.8 overall=9.1
"""
OF_2020 = """\
Graph: [./mobilenet_v1_1.0_224.tflite]
count=1 curr=3512391

count=50 first=2990275 curr=2913402 min=2727568 max=3189954 avg=2.95034e+06 std=109798

Inference timings in us: Init: 187, First inference: 351, Warmup (avg): 3.51239e+06, Inference (avg): 2.95034e+06
"""
OF_2018 = """\
Graph: [/data/local/tmp/tflite/mobilenet_v1_1.0_224_quant.tflite]
count=7 first=127425 curr=66709 min=66709 max=127425 avg=76605.9 std=20944

count=15 first=66753 curr=66800 min=66699 max=66838 avg=66767.6 std=39

Average inference timings in us: Warmup: 76605.9, Init: 9933, no stats: 66767.6
"""
ONE_RUN = "count=1 curr=5000\r\nInference timings in us: Init: 1, Warmup (avg): 3, Inference (avg): 5000\r\n"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (TODAY, BenchmarkRun("0012", 13520.2, 13105)),
        (OF_2020, BenchmarkRun("mobilenet_v1_1.0_224", 2.95034e6, 2727568)),
        (OF_2018, BenchmarkRun("mobilenet_v1_1.0_224_quant", 66767.6, 66699)),
        (ONE_RUN, BenchmarkRun("", 5000, 5000)),
        ("I tflite  : " + TODAY.replace("\nINFO", "\nI tflite  "), BenchmarkRun("0012", 13520.2, 13105)),
    ],
    ids=["today", "2020", "2018", "one run", "logcat"],
)
def test_the_output_of_every_release_is_read(text: str, result: BenchmarkRun) -> None:
    assert list(parse(text)) == [result]


def test_a_file_may_hold_several_runs_and_a_run_that_failed() -> None:
    failed = "INFO: Graph: [0013.tflite]\nERROR: Failed to allocate tensors!\nINFO: count=5 first=1 curr=1 min=1\n"
    results = list(parse(TODAY + failed + TODAY.replace("0012", "0014")))
    assert [result.graph for result in results] == ["0012", "0014"]


words = st.sampled_from(
    ["count=1 ", "curr=", "min=", "Graph: [", "Inference timings in us: ", "Inference (avg): ", "no stats: ", "\n"]
)


@given(st.lists(st.one_of(words, st.text("0123456789.e+-")), max_size=30).map("".join))
@example("count=1 curr=1.2.3\ncount=1 curr=e\ncount=1 min=1..2")
def test_any_text_is_read_or_passed_over(text: str) -> None:
    assert all(result.average_us >= 0 for result in parse(text))


def test_a_minimum_in_whole_microseconds_serves_where_that_is_fine_enough() -> None:
    assert least_us([BenchmarkRun("", 210.5, 200), BenchmarkRun("", 220.5, 190)]) == 190
    assert least_us([BenchmarkRun("", 12.4, 12), BenchmarkRun("", 12.9, 11)]) == 12.4
    assert least_us([BenchmarkRun("", 300.5, None)]) == 300.5


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("export")
    export_to_phone(find_space(SPACE), directory, threads=2, reporter=SILENT)
    return directory


@pytest.fixture
def back(exported: Path, tmp_path: Path) -> Path:
    """The exported directory, with results of all its blocks: 100 µs, and 1 µs more for each."""
    directory = tmp_path / "back"
    (directory / "results").mkdir(parents=True)
    shutil.copy(exported / "manifest.json", directory)
    (directory / "results" / "device.txt").write_text("model: Pixel 8\nsoc: Tensor G3\nbenchmark_model: 1234\n")
    for place, number in enumerate(json.loads((directory / "manifest.json").read_text())["pieces"]):
        text = TODAY.replace("0012", number).replace("min=13105", f"min={100 + place}")
        (directory / "results" / f"{number}-1.txt").write_text(text)
    return directory


def test_an_export_has_blocks_that_run(exported: Path) -> None:
    manifest = json.loads((exported / "manifest.json").read_text())
    files = sorted((exported / "blocks").iterdir())
    assert [file.stem for file in files] == list(manifest["pieces"])
    LiteRTEngine(files[5])


def test_results_become_a_profile_of_the_phone(back: Path) -> None:
    profile = import_phone_results(back)
    assert (profile.name, profile.soc, profile.threads, profile.space) == ("Pixel 8", "Tensor G3", 2, SPACE)
    assert profile.fitted_on == 12
    LatencyTable(find_space(SPACE), profile)
    assert import_phone_results(back, name="mine").name == "mine"


def test_the_least_of_several_passes_counts(back: Path) -> None:
    before = import_phone_results(back)
    for file in (back / "results").glob("*-1.txt"):
        slower = file.read_text().replace("min=", "min=9")
        file.with_name(file.name.replace("-1", "-2")).write_text(slower)
    assert import_phone_results(back).table == before.table


def test_results_that_are_missing_are_named(back: Path) -> None:
    (back / "results" / "0007-1.txt").write_text("adb: device offline\n")
    with pytest.raises(PhoneError, match=r"no result of 1 of .* 0007\.tflite"):
        import_phone_results(back)


def test_a_block_that_took_no_time_is_named(back: Path) -> None:
    result = back / "results" / "0003-1.txt"
    result.write_text("INFO: count=50 curr=0\nINFO: Inference timings in us: no stats: 0\n")
    with pytest.raises(PhoneError, match=r"0003\.tflite took no time"):
        import_phone_results(back)


def test_another_export_beside_results_is_refused(back: Path) -> None:
    with pytest.raises(PhoneError, match="has results of another export"):
        export_to_phone(find_space(SPACE), back, threads=4, reporter=SILENT)


def test_a_directory_without_manifest_or_results_is_an_error_that_says_what_to_do(back: Path, tmp_path: Path) -> None:
    with pytest.raises(PhoneError, match="--export"):
        import_phone_results(tmp_path / "nowhere")
    shutil.rmtree(back / "results")
    with pytest.raises(PhoneError, match=r"run\.sh"):
        import_phone_results(back)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"schema": "lykeion.device-blocks"}', "[" * 100_000])
def test_what_is_no_manifest_is_an_error_of_one_line(text: str, back: Path) -> None:
    (back / "manifest.json").write_text(text)
    with pytest.raises(PhoneError, match="not a manifest") as caught:
        import_phone_results(back)
    assert "\n" not in str(caught.value)


ADB = """#!/bin/sh
# A phone that is a directory: adb push, adb shell.
case "$1" in
push) mkdir -p "$PHONE"; cp -r "$2" "$PHONE/" ;;
shell)
    shift
    case "$1" in
    getprop) echo "Pixel 8" ;;
    */benchmark_model)
        echo "$2" >>"$PHONE/ran"
        echo "INFO: Graph: [${2#--graph=}]"
        echo "INFO: count=50 first=150 curr=150 min=149 max=151 avg=150 std=1"
        echo "INFO: Inference timings in us: Init: 9, First inference: 150, Warmup (avg): 150, Inference (avg): 150"
        ;;
    esac ;;
esac
"""


@pytest.mark.skipif(os.name != "posix", reason="run.sh needs a shell")
def test_the_script_runs_every_block_once_and_goes_on_where_it_stopped(exported: Path, tmp_path: Path) -> None:
    directory, phone, tools = tmp_path / "away", tmp_path / "phone", tmp_path / "tools"
    shutil.copytree(exported, directory)
    blocks = sorted((directory / "blocks").iterdir())
    for block in blocks[4:]:
        block.unlink()
    tools.mkdir()
    (tools / "adb").write_text(ADB)
    (tools / "adb").chmod(0o755)
    (tools / "benchmark_model").write_text("binary")
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PHONE": str(phone)}
    command = [directory / "run.sh", tools / "benchmark_model", "2"]
    (directory / "results").mkdir()
    (directory / "results" / "0002-1.txt").write_text(TODAY)
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert len((phone / "ran").read_text().splitlines()) == 7
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert len((phone / "ran").read_text().splitlines()) == 7
    assert "model: Pixel 8" in (directory / "results" / "device.txt").read_text()
    assert [result.minimum_us for result in parse((directory / "results" / "0001-2.txt").read_text())] == [149]


@pytest.mark.skipif(os.name != "posix", reason="run.sh needs a shell")
def test_the_script_without_a_tool_says_how_it_is_used(exported: Path) -> None:
    done = subprocess.run([exported / "run.sh"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "run.sh PATH/TO/benchmark_model" in done.stderr
