"""The configurations of stages: options of their own, and those given outside of them."""

from typing import Any

import pytest

from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.validation import validate
from tests.configs import change
from tests.pipeline.staged import ORACLE
from tests.pipeline.staged import config as config  # a fixture

STAGED: dict[str, dict[str, Any]] = {
    "oracles": {"stage": (f"pointwise:{ORACLE}", f"heapsort:{ORACLE}@10 noise=0.2"), "depth": 20},
    "reranker and server": {
        "stage": (
            "pointwise:ms-marco-minilm-l12@50",
            "heapsort:openai:gpt@20 base_url=http://localhost:1/v1 price_in=0.4 order=single",
            "setwise-heapsort:openai:gpt@5 base_url=http://localhost:1/v1 set_size=3",
        ),
        "max_cost": 2.0,
    },
    "options of all": {
        "stage": ("pointwise:ms-marco-minilm-l12", "sliding:org/a@20", "allpair:openai:m@3"),
        "base_url": "http://localhost:1/v1",
        "order": "single",
        "passage_tokens": 30,
        "dtype": "float32",
        "trust_remote_code": True,
        "threads": 1,
        "passes": 4,
        "k": 7,
    },
    "the model given outside": {"stage": ("pointwise@20", "heapsort@9"), "model": "org/a"},
    "the teacher given outside": {
        "stage": ("cascade@20", "heapsort:org/b@9"),
        "teacher": "llm:org/a",
    },
    "a cross-encoder without costs": {
        "stage": ("cascade@20", "heapsort:openai:m@9 base_url=http://h:1/v1 price_in=1"),
        "max_prompts": 10,
        "max_cost": 2.0,
    },
    "a cascade": {"stage": ("cascade:llm:org/a@20", "heapsort:org/b@9"), "passage_tokens": 20},
}


@pytest.mark.parametrize("name", STAGED)
def test_validated_stages_are_valid_and_stay_as_they_are(config: RerankConfig, name: str) -> None:
    job = validate(change(config, **STAGED[name]))
    assert validate(job.config) == job
    assert [stage.config.stage for stage in job.stages] == [()] * len(job.stages)


def test_options_outside_are_those_of_the_stages_where_they_play_a_part(
    config: RerankConfig,
) -> None:
    reranker, local, server = validate(change(config, **STAGED["options of all"])).stages
    assert [stage.config.model.base_url for stage in (reranker, local, server)] == [
        (), (), ("http://localhost:1/v1",),
    ]  # fmt: skip
    assert [stage.config.model.dtype for stage in (local, server)] == ["float32", "auto"]
    assert [stage.config.model.threads for stage in (local, server)] == [1, None]
    assert (reranker.config.judge.order, local.config.judge.order) == ("both", "single")
    # A stage ranks as many as the next reranks.
    assert [stage.config.ranker.k for stage in (reranker, local, server)] == [20, 7, 7]
    assert [stage.config.ranker.passes for stage in (reranker, local, server)] == [20, 4, 4]
    assert [stage.config.data.depth for stage in (reranker, local, server)] == [100, 20, 3]
    assert {stage.config.judge.passage_tokens for stage in (reranker, local, server)} == {30}


def test_stages_are_written_as_given_with_model_and_depth(config: RerankConfig) -> None:
    """Options given later are those of the stages that have none of their own."""
    given = (f"pointwise:{ORACLE}", "cascade@20", f"heapsort:{ORACLE}@10 noise=0.2")
    written = validate(change(config, stage=given, depth=30)).config
    assert written.stage == (
        f"pointwise:{ORACLE}@30", "cascade:ms-marco-minilm-l12@20",
        f"heapsort:{ORACLE}@10 noise=0.2",
    )  # fmt: skip
    later = {"noise": 0.4, "decide": "soft", "prior": 2.0, "passes": 15, "keep": 3}
    first, cascade, pairs = (stage.config for stage in validate(change(written, **later)).stages)
    assert (first.oracle.noise, pairs.oracle.noise) == (0.4, 0.2)
    assert (pairs.judge.decide, pairs.judge.prior, pairs.ranker.passes) == ("soft", 2.0, 15)
    assert cascade.cascade.keep == 3


def test_a_budget_is_kept_by_the_stages_that_can_keep_it(config: RerankConfig) -> None:
    job = validate(change(config, **STAGED["a cross-encoder without costs"]))
    assert job.config.budget.max_prompts == 10
    assert [stage.config.budget.max_prompts for stage in job.stages] == [None, 10]
