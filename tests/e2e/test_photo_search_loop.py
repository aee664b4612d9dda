"""examples/photo_search_loop: an index is built in shards, served, and replaced while clients search."""

import csv
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from tests.search.ingest.tiny import jpeg

from .photo_load import PhotoLoad
from .platform_machine import PlatformMachine, platform_machine, until

pytestmark = pytest.mark.slow
LOOP = Path(__file__).parents[2] / "examples" / "photo_search_loop" / "loop.yaml"
PHOTOS = 24


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[PlatformMachine]:
    with platform_machine(tmp_path / "h") as made:
        made.start()
        yield made


def write_catalogue(directory: Path, edition: str) -> None:
    """Parts of real photos, each its own product, whose attribute says which edition of the catalogue it is of."""
    directory.mkdir(exist_ok=True)
    with (directory / "catalogue.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "path", "edition"])
        for number in range(PHOTOS):
            (directory / f"{number}.jpg").write_bytes(jpeg(number))
            table.writerow([f"product-{number}", f"{number}.jpg", edition])


def apply_loop(machine: PlatformMachine, *, hot_swap: bool) -> None:
    pipeline, serving = yaml.safe_load_all(LOOP.read_text())
    serving["spec"]["index"]["hotSwap"] = hot_swap
    machine.run("apply", "-f", "-", text=yaml.safe_dump_all([pipeline, serving]))


def run_pipeline(machine: PlatformMachine, number: int) -> dict[str, dict[str, str]]:
    """The outputs, by step and name, of a run that has ended well."""
    parameters = ("-p", f"catalogue={machine.place / 'catalogue'}", "-p", "manifest=catalogue.csv")
    machine.run("run", "pipeline/nightly", *parameters)
    machine.run("wait", f"run/nightly-run-{number}", "--timeout", "240")
    steps = machine.get(f"run/nightly-run-{number}")["status"]["steps"]
    return {step["name"]: step.get("outputs", {}) for step in steps}


def check_what_a_page_needs(url: str) -> None:
    """By the URL's prefix, and by the service's name as host, the index and its pictures are found."""
    parts = urlsplit(url)
    root = f"http://{parts.netloc}"
    by_host = {"Host": "shop.default"}
    assert httpx.get(f"{root}/v1/stats", headers=by_host).json()["products"] == PHOTOS
    for base, headers in ((url, {}), (root, by_host)):
        picture = httpx.get(f"{base}/v1/sample?n=1", headers=headers).json()["results"][0]["thumbnail"]
        assert httpx.get(f"{root}{picture}", headers=headers).headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("hot_swap", [True, False], ids=["swapped", "rolled out"])
def test_the_index_is_built_in_shards_served_and_replaced_with_no_failed_request(
    machine: PlatformMachine, hot_swap: bool
) -> None:
    apply_loop(machine, hot_swap=hot_swap)
    write_catalogue(machine.place / "catalogue", "monday")
    outputs = run_pipeline(machine, 1)
    assert {name for step in outputs.values() for name in step} == {"catalogue", "shards", "index"}
    assert all("@sha256:" in digest for step in outputs.values() for digest in step.values())
    machine.run("wait", "serving/shop", "--for", "condition=Ready", "--timeout", "120")
    url = machine.get("serving/shop")["status"]["url"]
    check_what_a_page_needs(url)
    with PhotoLoad(url, [jpeg(number) for number in range(PHOTOS)]) as load:
        load.await_more(50)
        assert load.editions == {"monday"}
        write_catalogue(machine.place / "catalogue", "tuesday")
        index = run_pipeline(machine, 2)["build"]["index"]
        until(lambda: load.answers[-1].edition == "tuesday", seconds=120)
        load.await_more(50)
    assert load.failed == []
    assert all(answer.found for answer in load.answers), "each photo finds its product, in either index"
    assert load.editions == {"monday", "tuesday"}, "each answer is of one edition"
    until(lambda: machine.condition("Ready", "serving/shop")["status"] == "True")
    status = machine.get("serving/shop")["status"]
    assert status["rollouts"] == (0 if hot_swap else 1)
    served = httpx.get(f"{url}/healthz").json()["index"] if hot_swap else status["stable"]["artifact"]
    assert served.partition("sha256:")[2] == index.partition("sha256:")[2]
