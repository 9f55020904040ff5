"""The proxies and the certificates that the environment names, asked for real."""

import base64
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rankprompt.errors import ModelError
from rankprompt.llm.openai.address import parse_address
from rankprompt.llm.openai.blocking_client import BlockingClient, CallError
from rankprompt.llm.openai.call_errors import UnreachableError
from rankprompt.llm.openai.environment import certificates, proxy_for
from tests.llm.openai.raw_server import call, raw

pytestmark = pytest.mark.usefixtures("no_proxies")


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
