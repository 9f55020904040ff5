import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from rankprompt.errors import ModelError
from rankprompt.llm.base import Request, Usage
from rankprompt.llm.local.model import LocalModel
from tests.llm import tiny
from tests.llm.local import scripted
from tests.llm.local.small_models import PROMPTS, SCORED, WRITTEN, ids, load, plain


def one_by_one(model: Any, prompt: str, option: str, then: int | None = None) -> float:
    """The log-likelihood of an option, a token at a time, each in a run of its own.

    With ``then``, that of this token after the option.
    """
    total = 0.0
    before = ids(prompt)
    tokens = ids(option) if then is None else [*ids(option), then]
    first = 0 if then is None else len(tokens) - 1
    with torch.inference_mode():
        for place, token in list(enumerate(tokens))[first:]:
            if model.config.is_encoder_decoder:
                decoded = [model.config.decoder_start_token_id, *tokens[:place]]
                end = [model.config.eos_token_id]
                out = model(
                    input_ids=torch.tensor([before + end]),
                    decoder_input_ids=torch.tensor([decoded]),
                )
            else:
                out = model(input_ids=torch.tensor([before + tokens[:place]]))
            total += float(out.logits[0, -1].log_softmax(-1)[token])
    return total


def by_the_plain_model(model: Any, request: Request) -> list[float]:
    """The options' log-likelihoods; that of one that others begin with is "it, and not they"."""
    return [
        one_by_one(model, request.prompt, option)
        + log_of_others(model, request.prompt, option, request.options)
        for option in request.options
    ]


def log_of_others(model: Any, prompt: str, option: str, options: tuple[str, ...]) -> float:
    """How likely it is that no longer option goes on after this one."""
    own = ids(option)
    longer = {
        ids(one)[len(own)] for one in options if one != option and ids(one)[: len(own)] == own
    }
    going_on = [one_by_one(model, prompt, option, then=token) for token in longer]
    return math.log1p(-sum(map(math.exp, going_on)))


# Scoring


@pytest.mark.parametrize("how", [{}, {"prefix_bytes": 0}], ids=["as usual", "padded"])
def test_loglikelihoods_are_those_of_the_plain_model(folder: Path, how: dict[str, int]) -> None:
    model, reference = load(folder, **how), plain(folder)
    answers, usage = model.answer(SCORED)
    for request, answer in zip(SCORED, answers, strict=True):
        expected = by_the_plain_model(reference, request)
        assert answer.loglikelihoods == pytest.approx(expected, abs=1e-4)
        assert answer.tokens == tuple(len(ids(option)) for option in request.options)
        assert answer.text == ""
    assert usage.padding > 0 or not how


def test_padding_does_not_matter(folder: Path) -> None:
    model = load(folder)
    together, _ = model.answer(SCORED)
    for request, answer in zip(SCORED, together, strict=True):
        (alone,), _ = model.answer([request])
        assert alone.loglikelihoods == pytest.approx(answer.loglikelihoods, abs=1e-4)
        (first,), usage = model.answer([request._replace(options=request.options[:1])])
        assert first.loglikelihoods == pytest.approx(answer.loglikelihoods[:1], abs=1e-4)
        assert usage.padding == 0


def test_options_of_one_token_cost_one_row(llama: Path) -> None:
    model = load(llama, prefix_bytes=0)
    prompt = PROMPTS[0]
    (answer,), usage = model.answer([Request(prompt, (" A", " B"))])
    assert usage == Usage(len(ids(prompt)), 0)
    for option, loglikelihood in zip((" A", " B"), answer.loglikelihoods, strict=True):
        # Two options of two tokens and different stems force three rows.
        (full,), usage = model.answer([Request(prompt, (option, " Answer A", " Passage B"))])
        assert sum(usage) == 3 * (len(ids(prompt)) + 1)
        assert full.loglikelihoods[0] == pytest.approx(loglikelihood, abs=1e-4)


def test_what_is_said_with_chat_is_scored_after_the_template(llama: Path) -> None:
    text = "<s>user: A or B?</s>\n<s>assistant:\n"
    (answer,), _ = load(llama).answer([Request("A or B?", (" A", " Passage B"), chat=True)])
    reference = plain(llama)
    expected = [one_by_one(reference, text, option) for option in ("A", "Passage B")]
    assert answer.loglikelihoods == pytest.approx(expected, abs=1e-4)


def test_an_empty_prompt_is_scored_after_the_start_token(llama: Path) -> None:
    (answer, _), _ = load(llama).answer([Request("", (" A", " B A")), SCORED[0]])
    expected = [one_by_one(plain(llama), "<s>", option) for option in (" A", " B A")]
    assert answer.loglikelihoods == pytest.approx(expected, abs=1e-4)


def test_usage_counts_tokens_and_padding_apart(folder: Path) -> None:
    model = load(folder, prefix_bytes=0)
    short, long = Request("A", (" B",)), Request("The harbour is quiet", (" A",))
    (_, one), (_, other) = model.answer([short]), model.answer([long])
    _, both = model.answer([short, long])
    assert both.tokens == one.tokens + other.tokens
    assert both.padding == len(ids(long.prompt)) - len(ids(short.prompt))


def test_a_number_is_not_meant_where_a_longer_one_is_written() -> None:
    # As each digit is a token, "1" begins "10", "11" and "12".
    model, request = tiny.llama(3).eval(), Request("Which?", tuple(map(str, range(1, 13))))
    expected = by_the_plain_model(model, request)
    (answer,), _ = LocalModel(model, tiny.tokenizer(), name="tiny").answer([request])
    assert answer.loglikelihoods == pytest.approx(expected, abs=1e-4)
    # All that the model could write, each counted once.
    assert sum(map(math.exp, answer.loglikelihoods)) < 1


@pytest.mark.parametrize("favourite", ["1", "10", "12"])
def test_the_number_that_the_model_would_write_is_chosen(favourite: str) -> None:
    words = tiny.tokenizer()
    path = [*ids("?"), *ids(favourite), 1]
    model = scripted.follows(dict(pairwise(path)), len(words))
    options = tuple(map(str, range(1, 13)))
    (answer,), _ = LocalModel(model, words, name="tiny").answer([Request("?", options)])
    best = max(range(12), key=answer.loglikelihoods.__getitem__)
    assert options[best] == favourite


# Generation


def written_alone(model: Any, prompt: str, tokens: int, **how: Any) -> str:
    before = ids(prompt) + ([model.config.eos_token_id] if model.config.is_encoder_decoder else [])
    with torch.inference_mode():
        out = model.generate(
            input_ids=torch.tensor([before]),
            attention_mask=torch.ones(1, len(before), dtype=torch.long),
            do_sample=False,
            max_new_tokens=tokens,
            **how,
        )
    start = 1 if model.config.is_encoder_decoder else len(before)
    return str(tiny.tokenizer().decode(out[0, start:], skip_special_tokens=True))


def test_generation_is_that_of_the_plain_model(folder: Path) -> None:
    model, reference = load(folder), plain(folder)
    answers, usage = model.answer(WRITTEN)
    expected = [written_alone(reference, request.prompt, 9) for request in WRITTEN]
    assert [answer.text for answer in answers] == expected
    assert all(answer.loglikelihoods == answer.tokens == () for answer in answers)
    read = sum(len(ids(request.prompt)) + (folder.name == "t5") for request in WRITTEN)
    assert read < usage.tokens <= read + 9 * len(WRITTEN)


def test_each_request_has_its_own_limit(llama: Path) -> None:
    requests = [Request(PROMPTS[0], max_tokens=most) for most in (1, 7, 3)]
    answers, usage = load(llama).answer(requests)
    reference = plain(llama)
    assert [one.text for one in answers] == [
        written_alone(reference, PROMPTS[0], most) for most in (1, 7, 3)
    ]
    assert usage.tokens == 3 * len(ids(PROMPTS[0])) + 11


def test_generation_ends_at_any_of_the_models_end_tokens(llama: Path, tmp_path: Path) -> None:
    model = plain(llama)
    start = ids(PROMPTS[0])
    with torch.inference_mode():
        out = model.generate(torch.tensor([start]), do_sample=False, max_new_tokens=9)[0].tolist()
    third = out[len(start) + 2]
    assert third not in out[len(start) : len(start) + 2]
    model.generation_config.eos_token_id = [1, third]
    copy = load(tiny.save(tmp_path / "llama", model))
    requests = [Request(PROMPTS[0], max_tokens=9), Request(PROMPTS[2], max_tokens=9)]
    (answer, other), usage = copy.answer(requests)
    assert answer.text == tiny.tokenizer().decode(out[len(start) : len(start) + 2])
    assert other.text == written_alone(plain(llama), PROMPTS[2], 9, eos_token_id=[1, third])
    (_, lone) = copy.answer(requests[:1])
    assert lone == Usage(len(start) + 3, 0)
    assert usage.tokens > lone.tokens + len(ids(PROMPTS[2]))


def test_generation_is_greedy_whatever_the_model_brings(llama: Path, tmp_path: Path) -> None:
    model = plain(llama)
    make: Any = GenerationConfig
    model.generation_config = make(
        do_sample=True,
        temperature=9.0,
        top_k=3,
        num_beams=3,
        repetition_penalty=4.0,
        no_repeat_ngram_size=1,
        min_new_tokens=4,
        suppress_tokens=list(range(3, 300)),
        eos_token_id=1,
        pad_token_id=0,
    )
    answers, _ = load(tiny.save(tmp_path / "llama", model)).answer(WRITTEN)
    reference = plain(llama)
    assert [one.text for one in answers] == [
        written_alone(reference, request.prompt, 9) for request in WRITTEN
    ]


# Lengths and refusals


def test_length_counts_prompt_template_and_the_longest_answer(planner: LocalModel) -> None:
    prompt = PROMPTS[0]
    options = (" A", " Passage B")
    assert planner.length(Request(prompt, options)) == len(ids(prompt)) + 2
    assert planner.length(Request(prompt, max_tokens=7)) == len(ids(prompt)) + 7
    template = ids(f"<s>user: {prompt}</s>\n<s>assistant:\n")
    assert planner.length(Request(prompt, (" A",), chat=True)) == len(template) + 1


def test_a_prompt_that_does_not_fit_is_refused(llama: Path) -> None:
    model = load(llama)
    assert model.context_length == 128
    most = Request(" A" * 128, (" A", " B"))
    assert len(ids(most.prompt)) == 128
    model.answer([most])
    model.answer([Request(" A" * 120, max_tokens=8)])
    for request in (
        Request(" A" * 129, (" A",)),
        Request(" A" * 128, (" Passage A",)),
        Request(" A" * 120, max_tokens=9),
    ):
        with pytest.raises(ModelError, match="129 tokens does not fit into the 128 of"):
            model.answer([SCORED[0] if request.options else WRITTEN[0], request])


def test_scoring_and_generation_do_not_mix(planner: LocalModel) -> None:
    with pytest.raises(ModelError, match="cannot both"):
        planner.answer([SCORED[0], WRITTEN[0]])


def test_a_request_for_nothing_is_refused(planner: LocalModel) -> None:
    with pytest.raises(ModelError, match="options, or tokens"):
        planner.answer([WRITTEN[0], Request("A")])


# Half precision


def test_half_precision_answers_are_near(folder: Path) -> None:
    exact, _ = load(folder).answer(SCORED)
    near, _ = load(folder, dtype="bfloat16").answer(SCORED)
    for one, other in zip(exact, near, strict=True):
        assert other.loglikelihoods == pytest.approx(one.loglikelihoods, rel=0.1, abs=1.5)
        assert other.tokens == one.tokens
    texts, _ = load(folder, dtype="bfloat16").answer(WRITTEN)
    assert all(one.text for one in texts)
