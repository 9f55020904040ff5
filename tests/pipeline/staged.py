"""What the tests of stages share: the sample, and an oracle that judges it."""

from pathlib import Path

import pytest

from rankprompt.datasets.sample import sample
from rankprompt.pipeline.config import RerankConfig
from tests.configs import configure

ORACLE = f"oracle:{sample('en') / 'qrels.trec'}"


@pytest.fixture
def config(tmp_path: Path) -> RerankConfig:
    """The sample without a model; nothing is read."""
    return configure(
        run=tmp_path / "bm25.trec",
        queries=sample("en") / "queries.tsv",
        docs=sample("en") / "docs.jsonl",
        output=tmp_path / "out.trec",
    )
