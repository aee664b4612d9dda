"""Errors between a file and a tensor."""

from lykeion.core import Invalid


class PhotoError(Invalid):
    """A photo cannot be used: ``name`` is the photo, ``cause`` the reason. The same photo will fail again."""

    def __init__(self, name: str, cause: str) -> None:
        self.name, self.cause = _one_line(name), _one_line(cause)
        super().__init__(f"{self.name}: {self.cause}")

    def __reduce__(self) -> tuple[type["PhotoError"], tuple[str, str]]:
        return PhotoError, (self.name, self.cause)  # so that it can be pickled between processes


class BoxError(Invalid):
    """A box that is not four whole numbers left,top,right,bottom."""


class CardError(Invalid):
    """A model card is missing or invalid; the message names file and field."""


class UnusablePhoto(Exception):
    """Why a photo is refused, raised where its name is not known; ``decode`` converts it to PhotoError."""


def _one_line(text: str) -> str:
    """Names and library messages are untrusted: no line breaks or terminal codes, and a limited length."""
    text = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return text if len(text) <= 500 else text[:499] + "…"
