"""A judge that says nothing: no silent run of the first stage's order."""

import json
import math
import re
from typing import Any

import pytest

from rankprompt.llm.base import Answer
from tests.cli.conftest import Collection, Command
from tests.fakes import FakeModel, by_hash
from tests.servers.protocol import ProtocolServer, Reply, reply

UNREADABLE = {
    "scoring": Answer((math.nan, math.nan), (1, 1), problem="thinking"),
    "generation": Answer(text="Both passages are relevant."),
}


@pytest.mark.parametrize("mode", UNREADABLE)
def test_a_run_of_unreadable_answers_is_not_written(
    mode: str, command: Command, collection: Collection, fake: FakeModel
) -> None:
    collection.output.write_text("what the user had")
    fake.rule = lambda _: UNREADABLE[mode]
    words = collection.rerank("--quiet", model="fake", method="allpair", mode=mode)
    ran = command(*words)
    assert ran.code == 2
    assert ran.err.startswith("rankprompt: 14 of 14 answers cannot be read")
    assert ran.err.count("\n") == 1
    assert "--keep-going" in ran.err
    assert collection.output.read_text() == "what the user had"
    assert (collection.folder / "out.journal").exists()
    assert not (collection.folder / "out.json").exists()

    # A model that has come to its senses is asked everything again.
    fake.rule = by_hash
    assert command(*words).code == 0
    assert len(fake.prompts) == 28
    assert command(*words).code == 0
    assert len(fake.prompts) == 28


def test_keep_going_writes_the_run_and_warns_although_quiet(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    fake.rule = lambda _: UNREADABLE["scoring"]
    words = collection.rerank("--quiet", "--keep-going", model="fake", method="allpair")
    ran = command(*words)
    assert ran.code == 0
    assert "14 of 14 answers cannot be read" in ran.err
    # The first stage's order.
    assert collection.ranking() == {"q1": "d1 d2 d3 d4", "q2": "d4 d2"}
    manifest = json.loads((collection.folder / "out.json").read_text())
    assert manifest["unreadable_answers"] == {"thinking": 14}
    assert manifest["diagnostics"]["unreadable"] == 14


def test_pairs_that_all_contradict_themselves_are_told_although_quiet(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    fake.rule = lambda _: Answer((-0.1, -3.0), (1, 1))
    ran = command(*collection.rerank("--quiet", model="fake", method="allpair"))
    assert ran.code == 0
    assert ran.err.startswith("rankprompt: 7 of 7 pairs are ties")
    assert "--decide soft" in ran.err


def _filter(_: str, body: dict[str, Any]) -> Reply:
    """A server whose filter refuses all prompts about a passage, and answers A otherwise."""
    prompt = body["messages"][0]["content"]
    if "Salt is sold" in prompt:
        return reply({"error": {"code": "content_filter", "message": "filtered"}}, status=400)
    best = min("AB", key=lambda label: len(prompt.split(f"Passage {label}:")[1].split("\n")[0]))
    message = {"content": f"Passage {best}"}
    return reply({"choices": [{"message": message, "finish_reason": "stop"}]})


def test_a_refusal_stops_the_run_and_names_what_was_refused(
    command: Command, collection: Collection
) -> None:
    with ProtocolServer(_filter) as server:
        options = {"base_url": server.url, "mode": "generation", "method": "allpair"}
        ran = command(*collection.rerank(model="openai:m", **options))
    assert ran.code == 2
    assert re.search(
        r"a content filter refused the prompt about query q1 and documents d1, d\d", ran.err
    )
    assert "--skip-refused" in ran.err
    assert not collection.output.exists()


def test_a_refused_passage_is_named_and_the_rest_ranked(
    command: Command, collection: Collection
) -> None:
    with ProtocolServer(_filter) as server:
        options = {"base_url": server.url, "mode": "generation", "method": "allpair"}
        words = collection.rerank("--skip-refused", "--quiet", model="openai:m", **options)
        ran = command(*words)
        assert ran.code == 0
        assert "refused 6 prompts" in ran.err
        assert "document d1 for query q1 (6)" in ran.err
        manifest = json.loads((collection.folder / "out.json").read_text())
        assert manifest["refused"] == [
            {"query": "q1", "document": f"d{number}", "prompts": 6 if number == 1 else 2}
            for number in (1, 2, 3, 4)
        ]
        assert collection.ranking()["q1"].replace("d1", "").split() == ["d4", "d2", "d3"]
        calls = server.calls
        assert calls == 14
        # Only the refused prompts are asked again.
        assert command(*words).code == 0
        assert server.calls == calls + 6
