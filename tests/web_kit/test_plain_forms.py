"""Plain forms are read as the parser for streams reads them; all else is left to that."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartParser

from lykeion.web_kit import read_plain_form

TYPE = "multipart/form-data; boundary=b0"


def form(*parts: tuple[str, bytes]) -> bytes:
    written = [
        b"--b0\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (head.encode(), body) for head, body in parts
    ]
    return b"".join(written) + b"--b0--\r\n"


def by_stream(content_type: str, body: bytes) -> list[tuple[str, str | None, bytes]]:
    """What Starlette reads."""

    async def read() -> list[tuple[str, str | None, bytes]]:
        async def chunks() -> AsyncIterator[bytes]:
            yield body

        found = await MultiPartParser(Headers({"content-type": content_type}), chunks()).parse()
        return [
            (name, value.filename, await value.read())
            if isinstance(value, UploadFile)
            else (name, None, value.encode())
            for name, value in found.multi_items()
        ]

    return asyncio.run(read())


def test_fields_and_files_are_read() -> None:
    found = read_plain_form(TYPE, form(('name="k"', b"3"), ('name="photo"; filename="a b.jpg"', b"\xff\r\n--b\0")))
    assert found is not None
    assert {name: (part.content, part.filename) for name, part in found.items()} == {
        "k": (b"3", None),
        "photo": (b"\xff\r\n--b\0", "a b.jpg"),
    }


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"k=3"),
        ("multipart/form-data", form(('name="k"', b"3"))),
        ("multipart/form-data; charset=utf-8; boundary=b0", form(('name="k"', b"3"))),
        (TYPE, form(('name="k"', b"3"), ('name="k"', b"4"))),
        (TYPE, form(("name=k", b"3"))),
        (TYPE, form(("name=\"photo\"; filename*=UTF-8''a.jpg", b""))),
        (TYPE, form(('name="photo"; filename="a\\"b.jpg"', b""))),
        (TYPE, form(('name="photo"; filename="ä.jpg"', b""))),
        (TYPE, b"preamble\r\n" + form(('name="k"', b"3"))),
        (TYPE, form(('name="k"', b"3")) + b"epilogue"),
        (TYPE, form(('name="k"', b"3"))[:-4]),
        (TYPE, form(('name="k"', b"3")).replace(b"--b0\r\n", b"--b0 \r\n")),
        (TYPE, form(('name="k"\r\nContent-Transfer-Encoding: base64', b"Mw=="))),
        (TYPE, b""),
        (TYPE, b"--b0--\r\n"),
    ],
)
def test_what_is_unusual_is_left_to_the_other_parser(content_type: str, body: bytes) -> None:
    assert read_plain_form(content_type, body) is None


PIECES = st.sampled_from(
    [b"--b0", b"--", b"\r\n", b"\r", b"\n", b'Content-Disposition: form-data; name="a"', b'; filename="f"', b"x",
     b"Content-Type: image/jpeg", b"\xff", b'Content-Disposition: form-data; name="b"', b"\r\n\r\n", b"b0"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=24).map(b"".join) | st.binary(max_size=60))
def test_whatever_is_read_is_what_the_other_parser_reads(middle: bytes) -> None:
    for body in (middle, b"--b0\r\n" + middle + b"\r\n--b0--\r\n"):
        found = read_plain_form(TYPE, body)
        if found is not None and all(part.filename or part.content.isascii() for part in found.values()):
            mine = [(name, part.filename, part.content) for name, part in found.items()]
            assert by_stream(TYPE, body) == mine


@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.none() | st.just("f.jpg"), st.binary(max_size=40)), max_size=5)
)
def test_plain_forms_are_all_read(parts: list[tuple[str, str | None, bytes]]) -> None:
    named = {name: (filename, content) for name, filename, content in parts if b"--b0" not in content}
    heads = [
        (f'name="{name}"' + (f'; filename="{filename}"' if filename else ""), content)
        for name, (filename, content) in named.items()
    ]
    found = read_plain_form(TYPE, form(*heads))
    expected = {name: (content, filename) for name, (filename, content) in named.items()}
    assert (found and {name: (part.content, part.filename) for name, part in found.items()}) == (expected or None)
