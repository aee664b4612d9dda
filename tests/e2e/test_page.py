"""The search page in a real browser. With LYKEION_PICTURES=1 and an index in LYKEION_INDEX, takes its picture."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from lykeion.platform.local.proxy.route_table import RoutedGroup, ServingReplica
from lykeion.search.index import open_index
from tests.platform.proxies import proxy_process, service
from tests.search.ingest.tiny import CHINA, jpeg

from .conftest import PHOTOS
from .serving import serving

CHROMIUM = Path("/usr/bin/chromium")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "search-page.png"
TOKEN = "correct-horse-battery"

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no {CHROMIUM}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def url(index: Path, network: Path) -> Iterator[str]:
    with serving(index, "--embedder", str(network)) as (_, url):
        yield url


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    """A page on which any complaint of the browser's, or of a policy's, fails the test; gone before its server is."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    yield page
    context.close()
    assert not complaints


def first_names(page: Page) -> list[str]:
    return page.locator("#answers .name").all_inner_texts()


def upload(page: Page, photo: bytes, name: str = "mine.jpg") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "image/jpeg", "buffer": photo})


def answered(page: Page) -> None:
    # Not by wait_for_function: where it must ask twice it evaluates text, which the page's policy forbids.
    expect(page.locator("body")).not_to_have_class("asking")


def test_it_opens_with_products_of_each_category_that_lead_on_and_back_returns_to_them(page: Page, url: str):
    page.goto(url)
    expect(page.locator("#answers li")).to_have_count(30)
    expect(page.locator("#status")).to_contain_text("by category")
    kinds = page.locator("#answers [title=category]").all_inner_texts()
    assert kinds == sorted(kinds)
    assert kinds.count("bag") == 14, "all of them: they are the fewer"
    expect(page.locator("#answers img")).to_have_count(30)
    expect(page.locator("#answers .score")).to_have_count(0)
    expect(page.locator("#back")).to_be_hidden()
    first = first_names(page)[0]
    page.locator("#answers button").first.click()
    expect(page.locator("#hint")).to_have_text(f"Nearest to {first}")
    expect(page.locator("#answers .score")).to_have_count(24)
    page.click("#back")
    expect(page.locator("#answers li")).to_have_count(30)
    expect(page.locator("#hint")).to_have_text("")
    page.locator(".facet button", has_text="bag").click()
    expect(page.locator("#answers li")).to_have_count(14)


def test_on_an_empty_index_it_says_how_to_add_photos(page: Page, url: str, index: Path):
    with open_index(index, "shared") as opened:
        opened.delete([f"item-{n}" for n in range(PHOTOS)])
    page.goto(url)
    expect(page.locator("#status")).to_contain_text("lykeion index add")
    expect(page.locator("#answers li")).to_have_count(0)


def test_a_photo_finds_products_with_pictures_scores_and_attributes(page: Page, url: str):
    page.goto(url)
    expect(page.locator("#size")).to_have_text("40 products")
    upload(page, jpeg(7))
    expect(page.locator("#answers li")).to_have_count(24)
    first = page.locator("#answers li").first
    expect(first.locator(".name")).to_have_text("item-7")
    expect(first.locator(".score")).to_have_text("1.000")
    expect(first).to_contain_text("<img src=x onerror=alert(1)>")
    expect(first.locator("img")).to_have_count(1)
    expect(first.locator("img")).not_to_have_js_property("naturalWidth", 0)
    page.click("#more")
    expect(page.locator("#answers li")).to_have_count(40)


def test_a_box_dragged_on_the_photo_searches_by_that_part_of_it(page: Page, url: str):
    page.goto(url)
    upload(page, CHINA.read_bytes(), "china.jpg")
    expect(page.locator("#answers li")).to_have_count(24)
    whole = page.locator("#answers .score").all_inner_texts()
    area = page.locator("#preview").bounding_box()
    assert area is not None
    with page.expect_response("**/v1/search/photo"):
        page.mouse.move(area["x"] + area["width"] / 4, area["y"] + area["height"] / 4)
        page.mouse.down()
        page.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2, steps=4)
        page.mouse.up()
    answered(page)
    assert page.locator("#answers .score").all_inner_texts() != whole
    expect(page.locator("#box")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#box")).to_be_hidden()
    answered(page)
    assert page.locator("#answers .score").all_inner_texts() == whole


def test_a_filter_narrows_and_one_that_is_wrong_says_where(page: Page, url: str):
    page.goto(url)
    upload(page, jpeg(7))
    expect(page.locator("#answers li")).to_have_count(24)
    page.keyboard.press("/")
    page.keyboard.type("category = 'bag' and price < 1000")
    page.keyboard.press("Enter")
    expect(page.locator("#answers li")).to_have_count(4)
    assert sorted(first_names(page)) == ["item-0", "item-3", "item-6", "item-9"]
    page.fill("#where", "")
    page.locator("#where").press("Enter")
    expect(page.locator("#answers li")).to_have_count(24)
    page.locator(".facet button", has_text="bag").click()
    expect(page.locator("#answers li")).to_have_count(14)
    expect(page.locator("#where")).to_have_value("category = 'bag'")


def test_a_wrong_filter_is_explained_beside_the_field(browser: Browser, url: str):
    page = browser.new_page()  # the refusal itself is a line in the browser's console
    page.goto(url)
    upload(page, jpeg(7))
    expect(page.locator("#answers li")).to_have_count(24)
    page.fill("#where", "prise < 10")
    page.locator("#where").press("Enter")
    expect(page.locator("#trouble")).to_contain_text("price")
    expect(page.locator("#answers li")).to_have_count(24)
    page.close()


def test_an_answer_leads_on_and_back_returns_by_mouse_or_keys(page: Page, url: str):
    page.goto(url)
    upload(page, jpeg(7))
    expect(page.locator("#answers .name").first).to_have_text("item-7")
    page.locator("#answers button").nth(1).click()
    chosen = page.locator("#hint")
    expect(chosen).to_contain_text("Nearest to item-")
    answered(page)
    assert chosen.inner_text().removeprefix("Nearest to ") not in first_names(page), "a product is not its own answer"
    page.click("#back")
    expect(page.locator("#answers .name").first).to_have_text("item-7")
    page.keyboard.press("Tab")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(chosen).to_contain_text("Nearest to item-")
    page.keyboard.press("Escape")
    expect(page.locator("#answers .name").first).to_have_text("item-7")


def test_a_photo_may_be_dropped_or_pasted(page: Page, url: str):
    for event, carrier in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.goto(url)
        page.evaluate(
            """([bytes, event, carrier]) => {
                const data = new DataTransfer();
                data.items.add(new File([new Uint8Array(bytes)], "mine.jpg", { type: "image/jpeg" }));
                const kind = event === "drop" ? DragEvent : ClipboardEvent;
                document.body.dispatchEvent(new kind(event, { [carrier]: data, bubbles: true, cancelable: true }));
            }""",
            [list(jpeg(9)), event, carrier],
        )
        expect(page.locator("#answers .name").first).to_have_text("item-9")


def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Browser, url: str):
    page = browser.new_page(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page.goto(url)
    expect(page.locator("#take")).to_be_visible()
    upload(page, jpeg(7))
    expect(page.locator("#answers li")).to_have_count(24)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


def test_the_token_of_the_address_is_kept_for_the_tab_and_taken_out_of_sight(
    page: Page, index: Path, network: Path, tmp_path: Path
):
    (tmp_path / "token").write_text(TOKEN)
    options = ("--embedder", str(network), "--token-file", str(tmp_path / "token"), "--host", "0.0.0.0")
    with serving(index, *options) as (_, url):
        url = url.replace("0.0.0.0", "127.0.0.1")
        page.goto(f"{url}/#token={TOKEN}")
        expect(page.locator("#size")).to_have_text("40 products")
        assert page.url == f"{url}/"
        page.reload()
        expect(page.locator("#size")).to_have_text("40 products")
        page.goto("about:blank")


@pytest.mark.parametrize("end", ["/", ""])
def test_behind_a_proxy_below_a_prefix_it_finds_all_that_it_needs(
    page: Page, index: Path, network: Path, tmp_path: Path, end: str
):
    (tmp_path / "proxy").mkdir()
    with (
        serving(index, "--embedder", str(network), "--proxy", "127.0.0.1") as (_, own),
        proxy_process(tmp_path / "proxy") as proxy,
    ):
        proxy.route(service("shop", RoutedGroup("shop", 1, (ServingReplica("shop/1", urlsplit(own).port or 0),))))
        page.goto(f"http://127.0.0.1:{proxy.port}/services/default/shop{end}")
        expect(page.locator("#answers img")).to_have_count(30)
        expect(page.locator("#answers img").first).not_to_have_js_property("naturalWidth", 0)
        page.locator("#answers button").first.click()
        expect(page.locator("#answers .score")).to_have_count(24)
        upload(page, jpeg(7))
        expect(page.locator("#answers .name").first).to_have_text("item-7")
        expect(page.locator("#answers img")).to_have_count(24)


@pytest.mark.skipif("LYKEION_PICTURES" not in os.environ, reason="LYKEION_PICTURES is not set")
def test_its_picture_for_the_readme(browser: Browser):
    with serving(Path(os.environ["LYKEION_INDEX"])) as (_, url):
        page = browser.new_page(viewport={"width": 1280, "height": 860}, device_scale_factor=1.5)
        page.goto(url)
        expect(page.locator("#answers img")).to_have_count(30)
        page.wait_for_load_state("networkidle")
        PICTURE.parent.mkdir(exist_ok=True)
        page.screenshot(path=PICTURE)
        page.close()
