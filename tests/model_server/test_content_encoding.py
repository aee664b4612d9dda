"""Bodies that come compressed."""

import contextlib
import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from lykeion.model_server.content_encoding import decompressed


@given(st.binary(max_size=200))
def test_what_gzip_and_zlib_compress_comes_back(body: bytes) -> None:
    assert decompressed(gzip.compress(body), "gzip", 200) == body
    assert decompressed(zlib.compress(body), "Deflate", 200) == body
    assert decompressed(body, "identity", 200) == body


@pytest.mark.parametrize("size", [1_001, 1_010, 10 << 20])
def test_a_body_that_is_larger_than_allowed_is_refused_whatever_its_compressed_size(size: int) -> None:
    for body, encoding in ((gzip.compress(bytes(size)), "gzip"), (zlib.compress(bytes(size)), "deflate")):
        with pytest.raises(HTTPException) as refused:
            decompressed(body, encoding, 1_000)
        assert refused.value.status_code == 413
        assert len(decompressed(body, encoding, size)) == size


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b"x", "br", 415),
        (b"x", "gzip, gzip", 415),
        (b"not gzip", "gzip", 400),
        (b"", "gzip", 400),
        (gzip.compress(b"abc")[:-1], "gzip", 400),
        (gzip.compress(b"abc") + b"more", "gzip", 400),
        (gzip.compress(b"abc"), "deflate", 400),
    ],
)
def test_what_is_not_one_whole_stream_of_the_encoding_is_refused(body: bytes, encoding: str, status: int) -> None:
    with pytest.raises(HTTPException) as refused:
        decompressed(body, encoding, 1_000)
    assert refused.value.status_code == status


@given(st.binary(max_size=60), st.sampled_from(("gzip", "deflate")))
def test_any_bytes_are_decompressed_or_refused(body: bytes, encoding: str) -> None:
    with contextlib.suppress(HTTPException):
        decompressed(body, encoding, 100)
