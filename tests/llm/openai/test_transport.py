"""Connections for real: pools, proxies, certificates, IPv6, and bounds of time and size."""

import asyncio
import base64
import gzip
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from rankprompt.errors import ModelError
from rankprompt.llm.openai.address import parse_address
from rankprompt.llm.openai.blocking_client import BlockingClient, CallError
from rankprompt.llm.openai.call_errors import UnreachableError, UnusableError
from rankprompt.llm.openai.environment import certificates, proxy_for
from rankprompt.llm.openai.transport import HttpReply, Transport
from tests.servers.protocol import ProtocolServer, reply

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, *map(str.lower, PROXIES), "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


class Raw:
    """Answers each connection's requests with given bytes; ``heads`` are the requests."""

    def __init__(self, answer: bytes, *, host: str, tls: ssl.SSLContext | None) -> None:
        self.answer, self.heads, self.connections = answer, list[str](), 0
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, 0), family=family)
        self.port, self._tls = self._socket.getsockname()[1], tls
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self.connections += 1
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                buffer = b""
                while part := connection.recv(1 << 16):
                    buffer += part
                    head, end, rest = buffer.partition(b"\r\n\r\n")
                    if end and rest.endswith((b"!", b"\x00")):  # the end of a body
                        self.heads.append(head.decode())
                        buffer = b""
                        connection.sendall(self.answer)
        except OSError:
            pass

    def close(self) -> None:
        self._socket.close()


@contextmanager
def raw(
    answer: bytes = GOOD, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Raw]:
    server = Raw(answer, host=host, tls=tls)
    try:
        yield server
    finally:
        server.close()


def call(*urls: str, timeout: float = 5.0, body: bytes = b"!") -> list[HttpReply]:
    async def go() -> list[HttpReply]:
        transport = Transport(timeout)
        try:
            return [
                await transport.call("POST", url, body, {"x-own": "1"}, proxy_for(url))
                for url in urls
            ]
        finally:
            await transport.close()

    return asyncio.run(go())


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


# Proxies


def both(url: str) -> list[Callable[[], object]]:
    """A call to a URL by the transport, and by the client that blocks."""

    def blocking() -> None:
        client = BlockingClient([parse_address(url)], {"x-own": "1"})
        try:
            client.post("/x", b"!")
        finally:
            client.close()

    return [lambda: call(f"{url}/x"), blocking]


def test_a_proxy_of_the_environment_is_asked_with_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with raw() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:hunter2@127.0.0.1:{proxy.port}")
        for ask in both("http://model.invalid/v1"):
            ask()
    for head in proxy.heads:
        assert head.startswith("POST http://model.invalid/v1/x HTTP/1.1")
        sent = {line.split(": ")[0].lower(): line.split(": ")[1] for line in head.split("\r\n")[1:]}
        assert sent["proxy-authorization"] == f"Basic {base64.b64encode(b'me:hunter2').decode()}"
        assert sent["x-own"] == "1"
    assert len(proxy.heads) == 2


def test_a_proxy_that_refuses_or_is_not_there_is_told_without_its_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(1000).split(b"\r\n")[0])
                connection.sendall(b"HTTP/1.1 407 Key needed\r\ncontent-length: 0\r\n\r\n")

    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        threading.Thread(target=refuse, daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hunter2@127.0.0.1:{port}")
        for ask in both("https://model.invalid/v1"):
            with pytest.raises((UnreachableError, CallError), match="cannot be reached") as caught:
                ask()
            assert "hunter2" not in str(caught.value)
    assert asked == [b"CONNECT model.invalid:443 HTTP/1.1"] * 2 or all(
        one.startswith(b"CONNECT model.invalid:443") for one in asked
    )
    for ask in both("https://model.invalid/v1"):
        with pytest.raises((UnreachableError, CallError), match="cannot be reached") as caught:
            ask()
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({}, "http://a", None),
        ({"HTTP_PROXY": "p:1"}, "http://a", "http://p:1"),
        ({"HTTP_PROXY": "p:1"}, "https://a", None),
        ({"HTTPS_PROXY": "https://p:1"}, "https://a", "https://p:1"),
        ({"ALL_PROXY": "http://p:1"}, "http://a", "http://p:1"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "*"}, "http://a", None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "localhost, b.c"}, "http://a.b.c:80", None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "b.c"}, "http://ab.c", "http://p:1"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "a:81"}, "http://a:80", "http://p:1"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "a:80"}, "http://a:80", None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, "http://10.3.2.1:80", None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, "http://11.3.2.1", "http://p:1"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "::1"}, "http://[::1]:80", None),
    ],
)
def test_the_environment_says_which_proxy(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, proxy: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(f"{url}/v1") == proxy


def test_a_proxy_of_another_kind_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://me:hunter2@p:1")
    with pytest.raises(ModelError, match="a proxy of the kind socks5; name one") as caught:
        proxy_for("http://model/v1")
    assert "hunter2" not in str(caught.value)


# Certificates


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """A certificate of 127.0.0.1 that nobody has signed, and its key."""
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("there is no openssl, which makes a certificate")
    folder = tmp_path_factory.mktemp("tls")
    made = (folder / "certificate.pem", folder / "key.pem")
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext"
    subprocess.run(
        [openssl, *words.split(), "subjectAltName=IP:127.0.0.1", "-out", made[0], "-keyout",
         made[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return made


def test_a_certificate_counts_where_it_is_trusted_and_nowhere_else(
    certificate: Sequence[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[0], certificate[1])
    certificates.cache_clear()
    try:
        with raw(tls=context) as server:
            url = f"https://127.0.0.1:{server.port}/v1"
            for ask in both(url):
                with pytest.raises((UnreachableError, CallError), match="cannot be reached"):
                    ask()
            assert not server.heads
            certificates.cache_clear()
            monkeypatch.setenv("SSL_CERT_FILE", os.fspath(certificate[0]))
            for ask in both(url):
                ask()
            assert len(server.heads) == 2
    finally:
        certificates.cache_clear()


def test_a_client_that_blocks_goes_on_with_the_next_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with ProtocolServer(lambda *_: reply({"tokens": [1]})) as server:
        client = BlockingClient([parse_address(nobody), parse_address(server.url)], None)
        assert [client.post("/x", b"{}") for _ in range(3)] == [b'{"tokens": [1]}'] * 3
        client.close()
    assert server.calls == 3
