"""A browser as a device of a real gateway: it keeps its conversation through crashes, and searches by photo."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.delivery.conversing import GatewayProcess
from tests.delivery.fleet import Fleet

from .platform_machine import until
from .test_page import CHROMIUM, OPTIONS

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no {CHROMIUM}")]

PAGE = """<!doctype html><script type="module">
import { Device } from "/v1/device/lykeion.js";
const parameters = new URLSearchParams(location.search);
window.heard = JSON.parse(localStorage.getItem("heard") ?? "[]");
window.device = await Device.open({ enrolment: () => parameters.get("token"), attributes: { groups: "shop" } });
window.device.on((message) => {
  window.heard.push(message);
  localStorage.setItem("heard", JSON.stringify(window.heard));
  return message.kind === "command" ? `did ${message.body}` : undefined;
});
</script>"""
BLOCKED = """window.WebSocket = class extends EventTarget {
  constructor() {
    super();
    setTimeout(() => this.onerror());
  }
  close() {}
}"""
LIVE = "() => window.device?.isLive"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def gateway(index: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GatewayProcess]:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    fleet = Fleet(tmp_path)
    fleet.init()
    fleet.publish(1)
    options = ("--index", str(index), "--embedder", str(network))
    made = GatewayProcess(fleet.home, tmp_path / "fleet", options)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def context(browser: Browser, gateway: GatewayProcess) -> Iterator[BrowserContext]:
    made = browser.new_context()
    made.route("**/shop.html*", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, gateway: GatewayProcess) -> Page:
    page = context.new_page()
    page.goto(f"{gateway.url}/shop.html?token={gateway.token(1)}")
    page.wait_for_function(LIVE)
    return page


def events(gateway: GatewayProcess) -> list[tuple[int, str]]:
    with gateway.store() as store:
        return [(row["number"], row["name"]) for row in store.rows("SELECT number, name FROM events ORDER BY number")]


def the_device(gateway: GatewayProcess) -> str:
    with gateway.store() as store:
        (row,) = store.rows("SELECT id FROM devices")
    return row["id"]


def commands(page: Page) -> list[Any]:
    return [each["body"] for each in page.evaluate("window.heard") if each["kind"] == "command"]


def test_it_hears_what_it_is_to_run_and_tells_what_it_did(page: Page, gateway: GatewayProcess) -> None:
    page.wait_for_function("() => window.device.desired?.targets.shoes")
    assert "v1" in page.evaluate("window.device.desired.targets.shoes")
    gateway.send(the_device(gateway), "k1", "blink")
    gateway.broadcast("shop", {"open_from": 9})
    page.wait_for_function("() => window.heard.some((each) => each.kind === 'broadcast')")
    page.wait_for_function("() => window.heard.some((each) => each.kind === 'command')")
    told = f"SELECT state, said FROM commands WHERE device = '{the_device(gateway)}'"

    def is_done() -> bool:
        with gateway.store() as store:
            return [tuple(row) for row in store.rows(told)] == [("done", '"did blink"')]

    until(is_done)


def test_the_value_of_a_flag_is_used_and_its_first_use_reported(page: Page, gateway: GatewayProcess) -> None:
    options = ("--type", "boolean", "--default", "true", "--because", "a test", "--fleet", str(gateway.fleet))
    gateway.run("flags", "set", "wide", *options)
    page.wait_for_function("() => window.device.flags.wide === true")
    assert page.evaluate("[1, 2, 3].map(() => window.device.variant('wide'))") == [True, True, True]
    assert page.evaluate("window.device.variant('constructor') === undefined")
    until(lambda: events(gateway) == [(1, "exposure")])


def test_a_credential_is_renewed_by_a_key_that_no_script_can_read(page: Page, gateway: GatewayProcess) -> None:
    name, read = the_device(gateway), "async () => (await window.device.store.record('credential')).token"
    before = page.evaluate(read)
    page.evaluate(
        """async () => {
            const { store } = window.device;
            await store.keep("credential", { ...await store.record("credential"), expires: 0 });
        }"""
    )
    exported = "async () => (await window.device.store.record('key')).privateKey.extractable"
    assert page.evaluate(exported) is False
    page.reload()
    page.wait_for_function(LIVE)
    assert page.evaluate(read) != before
    assert the_device(gateway) == name


def test_a_gateway_that_is_killed_loses_nothing_and_takes_nothing_twice(page: Page, gateway: GatewayProcess) -> None:
    report = "n => window.device.report('seen', { n })"
    name, made = the_device(gateway), 0
    for round in range(3):
        for _ in range(20):
            made += 1
            page.evaluate(report, made)
        gateway.send(name, f"before-{round}", made)
        gateway.kill()
        page.wait_for_function("() => !window.device.isLive")
        made += 1
        page.evaluate(report, made)
        gateway.send(name, f"after-{round}", made)
        gateway.start()
        page.wait_for_function(LIVE, timeout=60_000)
    until(lambda: len(events(gateway)) == made)
    assert [number for number, _ in events(gateway)] == list(range(1, made + 1))
    until(lambda: len(commands(page)) == 6)
    assert commands(page) == [20, 21, 41, 42, 62, 63]
    assert not [each for each in page.evaluate("window.heard") if each["kind"] == "reset"]


def test_a_page_that_is_loaded_again_is_the_same_device_and_only_one_tab_is_connected(
    page: Page, context: BrowserContext, gateway: GatewayProcess
) -> None:
    name = the_device(gateway)
    page.evaluate("window.device.report('seen')")
    page.reload()
    page.wait_for_function(LIVE)
    other = context.new_page()
    other.goto(f"{gateway.url}/shop.html")
    other.wait_for_function("() => window.device")
    assert other.evaluate("window.device.isLive") is False
    page.close()
    other.wait_for_function(LIVE)
    assert the_device(gateway) == name
    until(lambda: events(gateway) == [(1, "seen")])


def test_a_photo_is_answered_in_parts_and_a_cancelled_query_is_not(page: Page, photos: Path) -> None:
    search = """async ([photo, k]) => {
        const parts = [];
        const query = { photo: Uint8Array.from(photo), k, where: "category = 'bag'" };
        for await (const part of window.device.search(query)) {
            parts.push(part.map((each) => [each.id, each.attributes.category]));
            if (k > 100) break;
        }
        return parts;
    }"""
    photo = list((photos / "3.jpg").read_bytes())
    parts = page.evaluate(search, [photo, 8])
    assert [len(part) for part in parts] == [5, 3]
    assert parts[0][0] == ["item-3", "bag"]
    assert len(page.evaluate(search, [photo, 200])) == 1
    assert len(page.evaluate(search, [photo, 3])) == 1
    wrong = "window.device.search({ photo: new Uint8Array(3) }).next().then(String, (error) => error.name)"
    assert page.evaluate(wrong) == "SearchUnavailable"
    aborted = """window.device.search({ photo: new Uint8Array(3) }, AbortSignal.abort()).next()
        .then(String, (error) => error.name)"""
    assert page.evaluate(aborted) == "AbortError"


def test_where_websockets_are_blocked_it_polls(
    context: BrowserContext, gateway: GatewayProcess, photos: Path
) -> None:
    page = context.new_page()
    page.add_init_script(BLOCKED)
    page.goto(f"{gateway.url}/shop.html?token={gateway.token(1)}")
    page.wait_for_function(LIVE)
    page.evaluate("window.device.report('seen')")
    gateway.send(the_device(gateway), "k1", "blink")
    page.wait_for_function("() => window.heard.some((each) => each.kind === 'command')")
    photo = list((photos / "3.jpg").read_bytes())
    first = (
        "async (photo) => (await window.device.search({ photo: Uint8Array.from(photo), k: 1 }).next()).value[0].id"
    )
    assert page.evaluate(first, photo) == "item-3"
    until(lambda: events(gateway) == [(1, "seen")])
