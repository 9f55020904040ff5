"""``rankprompt inspect``."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Collection, Command

pytestmark = pytest.mark.model  # its tokenizer


def test_t2ranking_is_recognised_and_its_ceiling_shown(command: Command, data: Path) -> None:
    folder = data / "t2ranking-sample"
    ran = command("inspect", "--dataset", folder, "--depth", 5, "--json")
    assert (ran.code, ran.err) == (0, f"rankprompt: {folder}: read as t2ranking:\n")
    found = json.loads(ran.out)
    assert (found["queries"], found["documents"]) == (47, 60)
    assert [one["depth"] for one in found["depths"]] == [5, 20]
    assert found["document_tokens"]["longest"] > found["document_tokens"]["median"] > 50
    ran = command("inspect", "--dataset", f"t2ranking:{folder}")
    assert (ran.code, ran.err) == (0, "")
    assert "ceiling nDCG@10" in ran.out
    assert f"{found['depths'][-1]['ceiling']:.4f}" in ran.out


def test_what_cannot_be_looked_at_is_one_line(command: Command, collection: Collection) -> None:
    ran = command("inspect", "--queries", collection.queries)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == ("rankprompt: give --queries and --docs, or a --dataset that has them\n")
    both = ["--queries", collection.queries, "--docs", collection.docs]
    assert command("inspect", *both, "--dataset", "beir:x").code == 2
    assert "at least 1" in command("inspect", *both, "--depth", 0).err
    ran = command("inspect", *both, "--model", "/nowhere/model")
    assert ran.code == 2
    assert ran.err == "rankprompt: model '/nowhere/model': no such file or folder\n"
    assert ran.err.count("\n") == 1
