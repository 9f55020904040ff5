"""A reranker behind a server that nobody closes: its connections end without a word."""

import subprocess
import sys

import pytest

from tests.servers.protocol import ProtocolServer, reply

FORGET = """
import gc, sys, threading, time
from rankprompt import Reranker
reranker = Reranker("rerank:m", base_url=sys.argv[1])
print(reranker.rank("query", ["a", "b"])[0].text)
if sys.argv[2] == "forget":
    del reranker
    gc.collect()
    until = time.monotonic() + 20
    while any(one.name == "rankprompt-loop" for one in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.01)
    gc.collect()
"""


@pytest.mark.parametrize("way", ["forget", "exit"])
def test_a_reranker_that_nobody_closed_ends_its_connections_silently(way: str) -> None:
    scores = {"results": [{"index": i, "relevance_score": 0.1 + i / 2} for i in range(2)]}
    with ProtocolServer(lambda *_: reply(scores)) as server:
        ran = subprocess.run(
            [sys.executable, "-c", FORGET, server.url, way], capture_output=True, text=True
        )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "b\n", "")
