"""Unmodified clients of GrowthBook, for Python and for JavaScript, read flags of a server over a socket."""

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from growthbook import GrowthBook, feature_repo

from lykeion.delivery.device_service import open_fleet
from lykeion.delivery.experiments import assigned_arm, read_experiment
from lykeion.delivery.flags import PRODUCTION, ClientKeys, FlagEdit, FlagStore, SavedGroup, read_flag
from tests.delivery.flag_agreement import compare
from tests.delivery.fleet import Fleet

from .platform_machine import until

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parent / "growthbook_js"
STREAMS = 6
EDIT = FlagEdit("ann", "a test", 1.0)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs with GrowthBook's client installed."""
    if shutil.which("npm") is None:
        pytest.skip("needs Node and npm")
    directory = tmp_path_factory.mktemp("growthbook-js")
    shutil.copytree(PROGRAM, directory, dirs_exist_ok=True)
    done = subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=directory, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"npm does not reach its registry: {done.stderr.strip().splitlines()[-1:]}")
    return directory


@dataclass
class FlagServer:
    url: str
    flags: FlagStore
    keys: ClientKeys
    process: subprocess.Popen[str]

    def put(self, *rules: dict[str, Any], default: Any = 0) -> None:
        flag = read_flag({"type": "number", "default": default, "rules": list(rules)})
        self.flags.put("size", flag, FlagEdit("ann", "a test", time.time()))

    def key(self, client: str = "app") -> str:
        return self.keys.make(client, EDIT)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(self.url + path, headers=headers, trust_env=False, timeout=60)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, subprocess.Popen[str]]]:
    """The URL of a server, its fleet's directory, and its process."""
    directory = tmp_path_factory.mktemp("flags")
    home = {**os.environ, "LYKEION_HOME": str(directory / "home")}
    (repository := Fleet(directory)).init()
    command = [sys.executable, "-c", "from lykeion.cli import main; main()", "delivery", "serve", "--port", "0"]
    options = ["--repository", str(repository.home), "--fleet", str(directory / "fleet"), "--streams", str(STREAMS)]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, env=home)
    assert process.stdout
    yield process.stdout.readline().rsplit(" ", 1)[-1].strip(), directory / "fleet", process
    process.terminate()
    assert process.wait(60) == 0


@pytest.fixture
def server(started: tuple[str, Path, subprocess.Popen[str]], request: pytest.FixtureRequest) -> Iterator[FlagServer]:
    """With an environment of the test's own."""
    url, fleet, process = started
    base = open_fleet(fleet)
    flags = FlagStore(base, request.node.name)
    flags.set_attribute("id", "string", EDIT)
    flags.set_attribute("age", "number", EDIT)
    flags.set_group("testers", SavedGroup("id", ["unit-1"]), EDIT)
    flags.set_group("unused", SavedGroup("id", ["unit-2"]), EDIT)
    yield FlagServer(url, flags, ClientKeys(base, request.node.name), process)
    base.close()


def test_the_client_for_javascript_decides_as_we_do(node: Path) -> None:
    report = compare(units=100, flags=40, seed=11, node=node)
    assert report["varied"] > report["decisions"] / 10
    assert (report["matching"], report["python"], report["javascript"]) == (0, 0, 0)


def test_features_are_sent_with_an_etag_and_not_again_while_they_are_the_same(server: FlagServer) -> None:
    server.put({"id": "testers", "inGroups": ["testers"], "value": 7})
    path = f"/api/features/{server.key()}"
    first = server.get(path)
    assert first.json()["features"]["size"]["rules"][0]["force"] == 7
    assert first.json()["savedGroups"] == {"testers": ["unit-1"]}
    assert first.headers["x-sse-support"] == "enabled"
    etag = first.headers["etag"]
    for given in (etag, f'"other", W/{etag}'):
        again = server.get(path, **{"If-None-Match": given})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    server.put(default=3)
    changed = server.get(path, **{"If-None-Match": etag})
    assert (changed.status_code, changed.json()["features"]["size"]["defaultValue"]) == (200, 3)
    assert changed.json()["dateUpdated"] > first.json()["dateUpdated"]


def test_a_key_opens_its_environment_alone_until_it_is_revoked(server: FlagServer) -> None:
    server.put(default=3)
    staging = ClientKeys(server.flags.base, "staging").make("app", EDIT)
    assert server.get(f"/api/features/{staging}").json()["features"] == {}
    key, other = server.key(), server.key("other")
    assert server.keys.revoke("app", EDIT) == 1
    for path in (f"/api/features/{key}", f"/sub/{key}", "/api/features/sdk-guess", "/sub/sdk-guess"):
        assert server.get(path).status_code == 401, path
    assert server.get(f"/api/features/{other}").is_success
    assert [(each.client, each.revoked_at is None) for each in server.keys.listing()] == [
        ("app", False),
        ("other", True),
    ]


def test_a_page_of_another_origin_reads_flags_only_if_it_is_admitted(server: FlagServer) -> None:
    path = f"/api/features/{server.key()}"
    assert server.get(path, Origin="https://shop.example").status_code == 403
    own = server.get(path, Origin=server.url)
    assert (own.status_code, own.headers["access-control-allow-origin"], own.headers["vary"]) == (
        200,
        server.url,
        "Origin",
    )


def test_the_client_for_python_reads_flags_and_hears_of_changes(server: FlagServer) -> None:
    server.put({"id": "adults", "where": "age >= 18", "value": 5})
    key = server.key()
    client = GrowthBook(api_host=server.url, client_key=key, attributes={"id": "x", "age": 18}, streaming=True)
    client.load_features()
    assert client.get_feature_value("size", -1) == 5
    server.put({"id": "adults", "where": "age >= 18", "value": 6})
    until(lambda: client.get_feature_value("size", -1) == 6)
    server.put({"id": "big", "value": 8, "where": " or ".join(f"age = {number}" for number in range(250))}, *_large())
    assert len(server.get(f"/api/features/{key}").content) > 65_536
    until(lambda: client.get_feature_value("size", -1) == 8)
    client.destroy(timeout=0.5)
    feature_repo.stopAutoRefresh(timeout=0.5)
    feature_repo.clear_cache()


def _large() -> list[dict[str, Any]]:
    """Rules of more bytes than a client reads in a line."""
    where = " and ".join(f"age != {number}" for number in range(200))
    return [{"id": f"r{number}", "where": where, "value": 1} for number in range(12)]


def test_the_client_for_javascript_reads_flags_and_hears_of_changes(server: FlagServer, node: Path) -> None:
    server.put({"id": "adults", "where": "age >= 18", "value": 5})
    command = ["node", "follow.js", server.url, server.key(), "size", json.dumps({"id": "x", "age": 18})]
    process = subprocess.Popen(command, cwd=node, stdout=subprocess.PIPE, text=True)
    said = _lines(process)
    try:
        assert said(120) == {"success": True, "source": "network"}
        assert said(60) == 5
        server.put({"id": "adults", "where": "age >= 18", "value": 6})
        _wait_for(said, 6)
        server.put({"id": "big", "value": 8}, *_large())
        _wait_for(said, 8)
    finally:
        process.kill()
        process.wait()


def _wait_for(said: Callable[[float], Any], value: Any) -> None:
    while said(60) != value:
        pass


def _lines(process: subprocess.Popen[str]) -> Callable[[float], Any]:
    """The next value that is printed, within so many seconds."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line)

    threading.Thread(target=read, daemon=True).start()
    return lambda seconds: json.loads(lines.get(timeout=seconds))


EXPERIMENT = """
apiVersion: lykeion.github.io/v1alpha1
kind: Experiment
metadata: {name: big-page}
spec:
  flag: page
  unit: user
  where: country = 'DE'
  coverage: 0.8
  holdout: 0.1
  arms:
  - {name: control, share: 0.3, value: '"old"'}
  - {name: treatment, share: 0.7, value: '"new"'}
  windowSeconds: 60
  metrics: [{name: clicked, kind: Proportion, event: click}]
"""


def test_clients_give_each_unit_the_arm_of_an_experiment_until_it_is_concluded(
    started: tuple[str, Path, subprocess.Popen[str]], server: FlagServer, node: Path, tmp_path: Path
) -> None:
    _, fleet, _ = started
    flags = FlagStore(server.flags.base)
    (declared := tmp_path / "experiment.yaml").write_text(EXPERIMENT)

    def run(*words: str, code: int = 0) -> str:
        command = [sys.executable, "-c", "from lykeion.cli import main; main()", "experiment", *words]
        done = subprocess.run([*command, "--fleet", str(fleet)], capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    assert "there is no flag 'page'" in run("start", str(declared), code=2)
    flags.set_attribute("country", "string", EDIT)
    flags.put("page", read_flag({"type": "number", "default": 1}), EDIT)
    assert "it must be of the flag's type, number" in run("start", str(declared), code=2)
    flags.archive("page", EDIT)
    declared.write_text(EXPERIMENT.replace("flag: page", "flag: shop"))
    flags.put("shop", read_flag({"type": "string", "default": "none"}), EDIT)
    run("start", str(declared))

    key = ClientKeys(server.flags.base, PRODUCTION).make("app", EDIT)

    def sent() -> dict[str, Any]:
        return server.get(f"/api/features/{key}").json()["features"]["shop"]

    until(lambda: bool(sent()["rules"]))
    (experiment,) = [each for each in json.loads(run("get", "--json")) if each["metadata"]["name"] == "big-page"]
    spec = read_experiment(declared).spec
    units = [{"user": f"u{n}", "country": "DE" if n % 4 else "FR"} for n in range(400)]
    arms = {"control": "old", "treatment": "new", None: "none"}
    expected = [
        arms[assigned_arm(spec, experiment["metadata"]["uid"], each["user"]) if each["country"] == "DE" else None]
        for each in units
    ]
    assert set(expected) == {"old", "new", "none"}
    features = {"shop": sent()}
    client = GrowthBook(features=features)
    found = []
    for each in units:
        client.set_attributes(each)
        found.append(client.get_feature_value("shop", "?"))
    assert found == expected
    payload, lines = tmp_path / "payload.json", tmp_path / "units.jsonl"
    payload.write_text(json.dumps({"features": features, "savedGroups": {}}))
    lines.write_text("".join(json.dumps(each) + "\n" for each in units))
    done = subprocess.run(
        ["node", "evaluate.js", str(payload), str(lines)], cwd=node, capture_output=True, text=True, check=True
    )
    assert [json.loads(line)[0] for line in done.stdout.splitlines()] == expected

    run("conclude", "big-page", "--ship", "treatment", "--because", "a test", "--anyway")
    until(lambda: not sent()["rules"])
    assert sent()["defaultValue"] == "new"
    assert "experiment big-page" in flags.get("shop").why


def test_streams_are_limited_and_end_with_the_server(server: FlagServer) -> None:
    server.put(default=3)
    key = server.key()
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as http:
        opened = [http.send(http.build_request("GET", f"/sub/{key}"), stream=True) for _ in range(STREAMS)]
        lines = [each.iter_lines() for each in opened]
        assert all("event: features" in [next(each) for _ in range(3)] for each in lines)
        refused = server.get(f"/sub/{key}")
        assert (refused.status_code, int(refused.headers["retry-after"]) >= 10) == (503, True)
        opened.pop().close()
        until(lambda: _opens(http, f"/sub/{key}"))
        server.process.terminate()
        assert server.process.wait(20) == 0
        assert all(line == "" or line.startswith((":", "data: ", "id: ")) for each in lines[:-1] for line in each)


def _opens(http: httpx.Client, path: str) -> bool:
    with http.stream("GET", path) as answer:
        return answer.is_success
