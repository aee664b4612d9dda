"""A shop to ask: products that are each photographed as one colour, and the service over them."""

import io

from PIL import Image
from starlette.testclient import TestClient

from lykeion.search.service import Catalogue, ServedCatalogue, create_app
from lykeion.web_kit import ServerSettings

COLOURS = ("red", "green", "blue", "yellow", "purple", "orange")
WARM = {"red", "yellow", "orange"}
DIMENSION = 16
"""Of the tiny network's vectors."""


def jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


def photo(colour: str, size: tuple[int, int] = (64, 48)) -> bytes:
    return jpeg(Image.new("RGB", size, colour))


def service(catalogue: Catalogue, settings: ServerSettings) -> TestClient:
    """A client that shows an error inside the service as the 500 a person would see."""
    app = create_app(ServedCatalogue(catalogue), settings)
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
