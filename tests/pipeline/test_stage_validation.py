"""Stages with a model each: their notation, and what is checked before anything is asked."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import InputError, RankpromptError
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_file import as_dict
from rankprompt.pipeline.stage_notation import (
    StageNotation,
    format_stage,
    hide_stage,
    parse_stage,
)
from rankprompt.pipeline.validation import validate
from tests.configs import change
from tests.pipeline.staged import ORACLE
from tests.pipeline.staged import config as config  # a fixture

WORD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)


@given(
    st.builds(
        StageNotation,
        st.sampled_from(["heapsort", "pointwise"]),
        st.none() | WORD.filter(bool),
        st.integers(1, 10**6),
        st.lists(st.tuples(st.sampled_from(["prompt", "base_url"]), WORD)).map(tuple),
    )
)
def test_a_stage_that_is_written_is_read_again(stage: StageNotation) -> None:
    assert parse_stage(format_stage(stage)) == stage


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("heapsort", StageNotation("heapsort", None, None)),
        ("heapsort@20", StageNotation("heapsort", None, 20)),
        ("pointwise:a/b:c@7b@100", StageNotation("pointwise", "a/b:c@7b", 100)),
        (
            "sliding:'my models/a'@5 base-url=http://h:1/v1 prompt=\"a b\"",
            StageNotation(
                "sliding", "my models/a", 5, (("base_url", "http://h:1/v1"), ("prompt", "a b"))
            ),
        ),
    ],
)
def test_method_model_and_depth_are_told_apart(text: str, stage: StageNotation) -> None:
    assert parse_stage(text) == stage


def test_a_header_in_a_stage_is_hidden(config: RerankConfig) -> None:
    stage = "heapsort:openai:m@5 base_url=http://h:1/v1 'header=X-Key: hunter2' header=Y:env:HOME"
    job = validate(change(config, stage=(stage,)))
    assert job.stages[0].config.model.header == ("X-Key: hunter2", "Y:env:HOME")
    assert "hunter2" not in json.dumps(as_dict(job.config)) + repr(job.config)
    assert "Y:env:HOME" in hide_stage(stage)
    assert hide_stage("heapsort 'header=X:hunter2") == "***"
    with pytest.raises(InputError, match=r"stage 1: `header` X-Key: .* give each `stage` again"):
        validate(change(config, stage=(hide_stage(stage),)))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "depth of a later stage": (
        {"stage": (f"pointwise:{ORACLE}@10", f"heapsort:{ORACLE}@11")},
        "stage 2: heapsort reranks 11, but the stage before has 10",
    ),
    "depth of the first stage": (
        {"stage": (f"pointwise:{ORACLE}@10",), "depth": 9},
        "stage 1: pointwise reranks 10, but `depth` is 9",
    ),
    "depth that is no number": (
        {"stage": ("heapsort:a@ten",)},
        "stage 1: heapsort:a@ten: give a number from 1 after @, as in heapsort@20",
    ),
    "method": (
        {"stage": ("heapsrt:a@10",)},
        "stage 1: unknown method 'heapsrt'; did you mean 'heapsort'? Known: allpair, ",
    ),
    "two methods": (
        {"stage": ("heapsort,allpair@5:a",)},
        "stage 1: heapsort,allpair@5:a: give a number from 1 after @",
    ),
    "two methods without depth": (
        {"stage": ("heapsort,allpair:a@5",)},
        "stage 1: heapsort,allpair:a@5: a stage has one method; give a `stage` for each",
    ),
    "no model after the colon": (
        {"stage": ("heapsort:@5",)},
        "stage 1: heapsort:@5: a stage is METHOD:MODEL@DEPTH",
    ),
    "nothing": ({"stage": ("  ",)}, "stage 1: a stage is empty"),
    "quotes": ({"stage": ("heapsort 'a",)}, "stage 1: a quotation mark is not closed"),
    "prompt of the wrong kind": (
        {"stage": ("pointwise:org/a@10", "heapsort:org/b@5 prompt=relevance-yes-no-maybe")},
        "stage 2: unknown prompt 'relevance-yes-no-maybe'; did you mean 'relevance-yes-no'?",
    ),
    "prompt that cannot put the questions": (
        {"stage": ("pointwise:org/a@10 prompt=prp", "heapsort:org/b@5")},
        "stage 1: `method` pointwise asks gradings, and `prompt` prp is of kind choice",
    ),
    "prompt of a reranker": (
        {"stage": ("heapsort:ms-marco-minilm-l12@10 prompt=prp",)},
        "stage 1: `prompt` prp is for language models, and `model` ms-marco",
    ),
    "option": (
        {"stage": ("heapsort:org/a kk=2",)},
        "stage 1: unknown option of a stage 'kk'; did you mean 'k'?",
    ),
    "option of another group": (
        {"stage": ("heapsort:org/a limit=2",)},
        "stage 1: unknown option of a stage 'limit'",
    ),
    "no option": (
        {"stage": ("heapsort:org/a k",)},
        "stage 1: 'k': what follows METHOD:MODEL@DEPTH is written name=value",
    ),
    "option as on the command line": (
        {"stage": ("heapsort:org/a --k=3",)},
        "stage 1: '--k': what follows METHOD:MODEL@DEPTH is written name=value, without dashes",
    ),
    "option twice": ({"stage": ("heapsort:org/a k=1 k=2",)}, "stage 1: `k` is given twice"),
    "model as an option": (
        {"stage": ("heapsort model=a",)},
        "stage 1: `model` is written before the options",
    ),
    "whole number": (
        {"stage": ("heapsort:org/a k=1_0",)},
        "stage 1: `k` must be a whole number, not '1_0'",
    ),
    "number": (
        {"stage": ("heapsort:org/a prior=much",)},
        "stage 1: `prior` must be a number, not 'much'",
    ),
    "truth": (
        {"stage": ("sliding:org/a early_exit=yes",)},
        "stage 1: `early_exit` must be true or false, not 'yes'",
    ),
    "bounds": ({"stage": ("heapsort:org/a k=0",)}, "stage 1: `k` must be at least 1, not 0"),
    "choices": (
        {"stage": ("heapsort:org/a order=bot",)},
        "stage 1: unknown order 'bot'; did you mean 'both'?",
    ),
    "an option that plays no part": (
        {"stage": ("heapsort:org/a@5", f"heapsort:{ORACLE}@5 base_url=http://x")},
        "stage 2: `base_url` goes with `model` openai:MODEL",
    ),
    "an option outside that plays no part in any": (
        {"stage": ("heapsort:org/a@5", f"heapsort:{ORACLE}@5"), "base_url": "http://x"},
        "stage 1: `base_url` goes with `model` openai:MODEL",
    ),
    "a local model's option at a server": (
        {"stage": ("heapsort:openai:m@5 base_url=http://x dtype=float16",)},
        "stage 1: `dtype` plays no part in `model` openai:m, which runs at its server",
    ),
    "a local model's option outside, where all are served": (
        {"stage": ("heapsort:openai:m@5",), "base_url": "http://x", "threads": 1},
        "stage 1: `threads` plays no part in `model` openai:m",
    ),
    "method outside": (
        {"stage": ("heapsort:org/a@5",), "method": "allpair"},
        "`method` plays no part: each `stage` has its own",
    ),
    "prompt outside": (
        {"stage": ("heapsort:org/a@5",), "prompt": "prp"},
        "`prompt` plays no part: each `stage` has its own",
    ),
    "model outside": (
        {"stage": ("heapsort:org/a@5",), "model": "org/b"},
        "`model` plays no part: each `stage` has its own",
    ),
    "teacher outside": (
        {"stage": ("cascade:llm:org/a@5", "heapsort:org/a@5"), "teacher": "llm:org/b"},
        "`teacher` plays no part: each `stage` has its own",
    ),
    "an option outside that each stage overrides": (
        {
            "stage": (
                f"pointwise:{ORACLE}@9",
                f"heapsort:{ORACLE}@9 prior=1",
                "heapsort:m@5 prior=0",
            ),
            "prior": 0.5,
        },
        "`prior` plays no part: each `stage` has its own",
    ),
    "cluster": (
        {"stage": (f"heapsort:{ORACLE}@5",), "ray": "local"},
        "`ray` goes with a model that each worker loads, and no stage has one",
    ),
    "money without prices": (
        {"stage": ("heapsort:org/a@5",), "max_cost": 1.0},
        "`max_cost` needs the prices of a million tokens",
    ),
    "budget of a cascade's cross-encoder": (
        {"stage": ("cascade@5",), "max_prompts": 1},
        "stage 1: `max_prompts` plays no part in `method` cascade",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_with_its_stage(config: RerankConfig, name: str) -> None:
    options, message = REFUSED[name]
    with pytest.raises(RankpromptError) as raised:
        validate(change(config, **options))
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)
