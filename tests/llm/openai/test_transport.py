"""Connections for real: pools, IPv6, and bounds of time and size."""

import asyncio
import gzip
import socket
import threading
import time

import pytest

from rankprompt.llm.openai.address import parse_address
from rankprompt.llm.openai.blocking_client import BlockingClient, CallError
from rankprompt.llm.openai.call_errors import UnreachableError, UnusableError
from rankprompt.llm.openai.transport import Transport
from tests.llm.openai.raw_server import GOOD, call, raw
from tests.servers.protocol import ProtocolServer, reply

pytestmark = pytest.mark.usefixtures("no_proxies")


def test_a_connection_is_used_again_and_no_cookie_is_sent() -> None:
    answer = GOOD.replace(b"\r\n\r\n", b"\r\nset-cookie: a=b; path=/\r\n\r\n")
    with raw(answer) as server:
        replies = call(*[f"http://127.0.0.1:{server.port}/v1"] * 3)
    assert [(one.status, one.reason, one.content) for one in replies] == [(200, "OK", b"{}")] * 3
    assert replies[0].headers["Set-COOKIE"] == "a=b; path=/"
    assert (server.connections, len(server.heads)) == (1, 3)
    assert not any("cookie" in head.lower() for head in server.heads)
    assert all("x-own: 1" in head for head in server.heads)


def test_as_many_connections_open_as_there_are_calls_in_flight() -> None:
    async def go(url: str) -> None:
        transport = Transport(10.0)
        try:
            calls = (transport.call("POST", url, b"{}", {}, None) for _ in range(150))
            assert {one.status for one in await asyncio.gather(*calls)} == {200}
        finally:
            await transport.close()

    with ProtocolServer(lambda *_: {}, latency=0.2) as server:
        asyncio.run(go(f"{server.url}/x"))
        assert server.most == 150


def test_a_transport_may_be_used_in_one_loop_after_another() -> None:
    transport = Transport(5.0)

    async def go(url: str) -> int:
        try:
            return (await transport.call("POST", url, b"!", {}, None)).status
        finally:
            await transport.close()

    with raw() as server:
        url = f"http://127.0.0.1:{server.port}"
        assert [asyncio.run(go(url)) for _ in range(2)] == [200, 200]
    asyncio.run(transport.close())  # which may be said twice


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6 here")
def test_addresses_of_ipv6_are_reached() -> None:
    try:
        with raw(host="::1") as server:
            assert call(f"http://[::1]:{server.port}/v1")[0].status == 200
    except OSError as error:
        pytest.skip(f"no IPv6 on the loopback: {error}")
    assert "Host: [::1]" in server.heads[0]


def test_a_large_body_is_sent_whole() -> None:
    sizes: list[int] = []

    def respond(_: str, body: dict[str, str]) -> dict[str, object]:
        sizes.append(len(body["x"]))
        return {}

    with ProtocolServer(respond) as server:
        call(f"{server.url}/x", body=b'{"x": "%s"}' % (b"a" * 3_000_000))
    assert sizes == [3_000_000]


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (b"transfer-encoding: chunked", b"10000\r\n" + b"a" * 65536 + b"\r\n"),
        (b"content-encoding: gzip\r\ncontent-length: %d", gzip.compress(bytes(99_000_000), 1)),
    ],
    ids=["chunks", "gzip"],
)
def test_a_reply_without_end_is_not_read_to_its_end(head: bytes, part: bytes) -> None:
    if b"%d" in head:
        head, answer = head % len(part), part
    else:
        answer = part * (80 << 4)
    with (
        raw(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n%s" % (head, answer)) as server,
        pytest.raises(UnusableError, match="a reply of more than 64 MiB") as caught,
    ):
        call(f"http://127.0.0.1:{server.port}", timeout=30)
    assert caught.value.doubtful


def test_of_an_error_a_part_is_read() -> None:
    answer = b"HTTP/1.1 500 No\r\ncontent-length: 9000000\r\n\r\n" + b"a" * 9_000_000
    with raw(answer) as server:
        (found,) = call(f"http://127.0.0.1:{server.port}")
    assert found.status == 500
    assert 1 << 20 < len(found.content) < 2 << 20


def test_a_trickle_ends_with_the_time_of_the_whole_call() -> None:
    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n")
            for _ in range(100):
                time.sleep(0.05)
                try:
                    connection.sendall(b"a")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        start = time.monotonic()
        with pytest.raises(UnusableError, match=r"no answer within 0.4 seconds"):
            call(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.4)
        assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"],
    ids=["nothing", "half", "nonsense", "short"],
)
def test_a_connection_that_breaks_is_told_without_the_servers_words(answer: bytes) -> None:
    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(UnusableError, match=r"^the connection broke \(\w+\)$") as caught:
            call(f"http://127.0.0.1:{listener.getsockname()[1]}")
    assert not isinstance(caught.value, UnreachableError)


def test_nobody_at_the_address_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "http://no-such-host.invalid"):
        with pytest.raises(UnreachableError, match=r"^cannot be reached: .+") as caught:
            call(url)
        assert "\n" not in str(caught.value)
    client = BlockingClient([parse_address(url)], None)
    with pytest.raises(CallError, match=r"cannot be reached \(\w+\)"):
        client.post("/x", b"!")
    client.close()


def test_a_client_that_blocks_goes_on_with_the_next_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with ProtocolServer(lambda *_: reply({"tokens": [1]})) as server:
        client = BlockingClient([parse_address(nobody), parse_address(server.url)], None)
        assert [client.post("/x", b"{}") for _ in range(3)] == [b'{"tokens": [1]}'] * 3
        client.close()
    assert server.calls == 3
