"""What ``rankprompt serve`` refuses before it serves."""

import logging
import re
import socket

import pytest

from rankprompt.service.logs import hide_answers
from tests.cli.conftest import Command
from tests.cli.refusals import refused

NOWHERE = ("--model", "rerank:m", "--base-url", "http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--log-format", "xml"), "unknown log format 'xml'"),
        (("--model", "oracle:qrels.trec"), "--model oracle: judges queries by their ids"),
        (("--depth", 0), "--depth must be at least 1, not 0"),
        (("--port", 65536), "--port must be from 0 to 65535, not 65536"),
        (("--port", -1), "--port must be from 0 to 65535, not -1"),
        (("--timeout", 0), "--timeout must be above 0, not 0"),
        (("--model", "/no/folder"), "/no/folder: no such file or folder"),
        ((*NOWHERE, "--instruction", "find"), "--instruction plays no part"),
    ],
)
def test_what_cannot_be_served_is_refused(
    command: Command, words: tuple[object, ...], problem: str
) -> None:
    refused(command("serve", "--port", 0, *words), re.escape(problem))


def test_an_address_that_is_taken(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = command("serve", "--port", port, *NOWHERE)
    refused(ran, f"cannot listen on --host 127.0.0.1, --port {port}: Address already in use")


def test_a_model_server_that_is_not_there_ends_the_server(command: Command) -> None:
    ran = command("serve", "--port", 0, *NOWHERE)
    assert ran.code == 2
    *_, last = ran.err.splitlines()
    assert last.startswith("rankprompt: http://127.0.0.1:9: cannot be reached")


def test_answers_of_a_model_are_kept_out_of_the_log() -> None:
    said = "7 of 9 answers cannot be read: no choice, as in 'the harbour is (quiet)' (7); try"
    record = logging.LogRecord("rankprompt", logging.WARNING, "", 0, "%s", (said,), None)
    assert hide_answers(record)
    assert record.getMessage() == "7 of 9 answers cannot be read: no choice (7); try"
