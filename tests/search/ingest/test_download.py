import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lykeion.search.ingest import photo_downloads
from lykeion.search.ingest.photo_downloads import DownloadError, Downloads

PHOTO = bytes(range(256)) * 8


class Shop(BaseHTTPRequestHandler):
    """A server of photos, of redirects and of trouble; ``asked`` counts requests by path."""

    asked: dict[str, int]

    def do_GET(self) -> None:
        self.asked[self.path] = self.asked.get(self.path, 0) + 1
        if self.path == "/photo.jpg" or (self.path == "/flaky.jpg" and self.asked[self.path] > 1):
            self._answer(200, PHOTO)
        elif self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/loop":
            self.send_response(301)
            self.send_header("Location", "/loop")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/endless.jpg":
            self.send_response(200)
            self.end_headers()
            while True:
                try:
                    self.wfile.write(PHOTO)
                except OSError:
                    return
        elif self.path in ("/flaky.jpg", "/down.jpg"):
            self._answer(503, b"")
        else:
            self._answer(404, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[str]:
    Shop.asked = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def downloads() -> Iterator[Downloads]:
    downloads = Downloads(max_bytes=100_000, seconds=5.0, pause=0.0)
    yield downloads
    downloads.close()


def test_a_photo_comes_as_it_is_also_through_redirects(shop: str, downloads: Downloads) -> None:
    assert downloads.fetch(f"{shop}/photo.jpg") == PHOTO
    assert downloads.fetch(f"{shop}/to//to//photo.jpg") == PHOTO


def test_a_photo_without_end_is_cut_off_at_the_limit(shop: str, downloads: Downloads) -> None:
    with pytest.raises(DownloadError, match="larger than 100,000 bytes"):
        downloads.fetch(f"{shop}/endless.jpg")


def test_a_slow_photo_is_given_up(shop: str) -> None:
    downloads = Downloads(max_bytes=1 << 40, seconds=0.05, pause=0.0)
    with pytest.raises(DownloadError, match="not there after"):
        downloads.fetch(f"{shop}/endless.jpg")
    downloads.close()


def test_what_may_pass_is_tried_again_and_what_stays_is_not(shop: str, downloads: Downloads) -> None:
    assert downloads.fetch(f"{shop}/flaky.jpg") == PHOTO
    with pytest.raises(DownloadError, match="the server answered 503"):
        downloads.fetch(f"{shop}/down.jpg")
    with pytest.raises(DownloadError, match="the server answered 404"):
        downloads.fetch(f"{shop}/nothing.jpg")
    assert Shop.asked == {"/flaky.jpg": 2, "/down.jpg": 3, "/nothing.jpg": 1}


@pytest.mark.parametrize(
    ("target", "message"),
    [("file:///etc/passwd", "redirected to file://"), ("ftp://host/a.jpg", "redirected to ftp://")],
)
def test_a_redirect_to_anything_but_http_is_refused(
    shop: str, downloads: Downloads, target: str, message: str
) -> None:
    with pytest.raises(DownloadError, match=message):
        downloads.fetch(f"{shop}/to/{target}")


def test_redirects_end(shop: str, downloads: Downloads) -> None:
    with pytest.raises(DownloadError, match="more than 5 redirects"):
        downloads.fetch(f"{shop}/loop")


def test_a_public_host_cannot_redirect_into_a_private_network(
    shop: str, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = photo_downloads._is_public
    monkeypatch.setattr(photo_downloads, "_is_public", lambda host: host == "127.0.0.1" or real(host))
    for private in ("http://localhost:1/", "http://169.254.169.254/", "http://[::1]/", "http://10.0.0.1/"):
        with pytest.raises(DownloadError, match="into a private network"):
            downloads.fetch(f"{shop}/to/{private}")


@pytest.mark.parametrize("url", ["http://", "http://[", "http://127.0.0.1:1/a.jpg", "http://a b/", "http://\udcff/"])
def test_a_url_that_cannot_be_is_an_error_in_one_line(downloads: Downloads, url: str) -> None:
    with pytest.raises(DownloadError) as caught:
        downloads.fetch(url)
    assert "\n" not in str(caught.value)
