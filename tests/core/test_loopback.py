import pytest

from lykeion.core import is_loopback


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "127.255.255.254", "::1", "[::1]", "0:0:0:0:0:0:0:1"],
)
def test_this_machine_is_known_by_its_own_names(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        " localhost",
        "localhost.",
        "localhost..",
        "localhost:80",
        "foo.localhost",
        "localhost.example",
        "localhost.localdomain",
        "localhoſt",
        "127.0.0.1.example.com",
        "127.0.0.1.",
        "127.0.0.1:80",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.0.0.01",
        "127.0.0.1/8",
        "１２７.0.0.1",
        "128.0.0.1",
        "0.0.0.0",
        "0",
        "::",
        "::2",
        "::1%lo",
        "::1%1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "[::1",
        "::1]",
        "[[::1]]",
        "[]",
        "[127.0.0.1]",
        "[localhost]",
        "user@localhost",
        "localhost\0",
        "localhost\n",
        "127.0.0.1\n",
    ],
)
def test_what_might_be_another_machine_is_not_loopback(host: str):
    assert not is_loopback(host)
