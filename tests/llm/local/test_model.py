import json
import shutil
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig

from rankprompt.errors import InputError, ModelError, UnknownNameError
from rankprompt.llm import load_model
from rankprompt.llm.base import Request, Usage
from rankprompt.llm.local.model import LocalModel
from tests.llm import tiny

# No token of these prompts and options is merged with its neighbour over the bound.
PROMPTS = [
    "Which passage is more relevant? Answer:",
    "A",
    "The passage about the harbour is more relevant than the passage about the mill. " * 2,
    "哪个段落更相关？",
    "An old mill stands above the river",
]
OPTIONS = [
    (" A", " B"),
    (" Passage A", " Passage B", " A"),
    (" The harbour is quiet", " an old mill", " 😀", " The harbour"),
    (" B",),
    (" yes", " no"),
]
SCORED = [Request(prompt, options) for prompt in PROMPTS for options in OPTIONS]
WRITTEN = [Request(prompt, max_tokens=9) for prompt in PROMPTS]

MODELS: dict[str, tuple[Callable[[], Any], bool]] = {
    "llama": (tiny.llama, False),
    "tied": (lambda: tiny.llama(tie_word_embeddings=True), False),
    "gpt2": (tiny.gpt2, False),
    "t5": (tiny.t5, True),
}


def load(folder: Path, **how: Any) -> LocalModel:
    model = load_model(str(folder), **{"dtype": "float32", "device": "cpu", **how})
    assert isinstance(model, LocalModel)
    return model


@pytest.fixture(scope="module", params=MODELS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    make, eos = MODELS[request.param]
    return tiny.save(
        tmp_path_factory.mktemp("models") / request.param, make(), tiny.tokenizer(eos=eos)
    )


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = tiny.tokenizer(template=tiny.TEMPLATE)
    return tiny.save(tmp_path_factory.mktemp("models") / "llama", tiny.llama(), words)


def plain(folder: Path) -> Any:
    """The model as transformers loads it, without any of our code."""
    make, _ = MODELS[folder.name]
    return type(make()).from_pretrained(folder, dtype=torch.float32).eval()


def ids(text: str) -> list[int]:
    found: list[int] = tiny.tokenizer()(text).input_ids
    return found


def one_by_one(model: Any, prompt: str, option: str) -> float:
    """The log-likelihood of an option, a token at a time, each in a run of its own."""
    total = 0.0
    before = ids(prompt)
    with torch.inference_mode():
        for place, token in enumerate(tokens := ids(option)):
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


# Scoring


def test_loglikelihoods_are_those_of_the_plain_model(folder: Path) -> None:
    model, reference = load(folder), plain(folder)
    answers, usage = model.answer(SCORED)
    for request, answer in zip(SCORED, answers, strict=True):
        expected = [one_by_one(reference, request.prompt, option) for option in request.options]
        assert answer.loglikelihoods == pytest.approx(expected, abs=1e-4)
        assert answer.tokens == tuple(len(ids(option)) for option in request.options)
        assert answer.text == ""
    assert usage.padding > 0


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
    model = load(llama)
    prompt = PROMPTS[0]
    (answer,), usage = model.answer([Request(prompt, (" A", " B"))])
    assert usage == Usage(len(ids(prompt)), 0)
    for option, loglikelihood in zip((" A", " B"), answer.loglikelihoods, strict=True):
        # " A A" forces the full computation of " A" beside it.
        (full,), usage = model.answer([Request(prompt, (option, option + " A", " Passage B"))])
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
    model = load(folder)
    short, long = Request("A", (" B",)), Request("The harbour is quiet", (" A",))
    (_, one), (_, other) = model.answer([short]), model.answer([long])
    _, both = model.answer([short, long])
    assert both.tokens == one.tokens + other.tokens
    assert both.padding == len(ids(long.prompt)) - len(ids(short.prompt))


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


# Planning, measuring, cutting

asked = st.builds(
    Request,
    prompt=st.integers(0, 60).map(lambda n: " A" * n),
    options=st.sampled_from([(), *OPTIONS]),
    max_tokens=st.just(0),
    breaks=st.just(()),
).flatmap(
    lambda one: (
        st.just(one) if one.options else st.integers(1, 9).map(lambda n: one._replace(max_tokens=n))
    )
)


@pytest.fixture(scope="module")
def planner(llama: Path) -> LocalModel:
    return load(llama, batch_tokens=200)


@given(st.lists(asked, max_size=25))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_plan_holds_each_request_once_and_keeps_to_the_budget(
    planner: LocalModel, requests: list[Request]
) -> None:
    batches = planner.plan(requests)
    assert sorted(i for batch in batches for i in batch) == list(range(len(requests)))
    assert planner.plan(list(requests)) == batches
    for batch in batches:
        assert len({bool(requests[i].options) for i in batch}) == 1
        if len(batch) > 1:
            assert padded([requests[i] for i in batch]) <= 200


def padded(requests: Sequence[Request]) -> int:
    """The places of a batch, counted by hand: a row for each stem, all of the longest's width."""
    rows, width, written = 0, 0, max(request.max_tokens for request in requests)
    for request in requests:
        stems = {tuple(ids(option)[:-1]) for option in request.options} or {()}
        rows += len(stems)
        width = max(width, *(len(ids(request.prompt)) + len(stem) for stem in stems))
    return rows * (width + written)


def test_what_is_planned_is_what_is_run(planner: LocalModel) -> None:
    requests = SCORED + WRITTEN
    for batch in planner.plan(requests):
        chosen = [requests[i] for i in batch]
        answers, usage = planner.answer(chosen)
        assert len(answers) == len(batch)
        if chosen[0].options:
            assert sum(usage) == padded(chosen)


def test_a_batch_is_filled(planner: LocalModel) -> None:
    requests = [Request(" A" * 20, (" A", " B"))] * 25
    assert [len(batch) for batch in planner.plan(requests)] == [10, 10, 5]


def test_room_to_write_is_planned_for(planner: LocalModel) -> None:
    requests = [Request(" A" * 50, max_tokens=1)] * 2 + [Request(" A" * 49, max_tokens=60)]
    assert planner.plan(requests) == [[0, 1], [2]]
    assert planner.plan(requests[1:]) == [[0], [1]]


def test_lengths_alike_are_planned_together(planner: LocalModel) -> None:
    requests = [Request(" A" * (1 if i % 2 else 100), (" B",)) for i in range(10)]
    assert planner.plan(requests) == [[0, 2], [4, 6], [8], [1, 3, 5, 7, 9]]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_batch_wastes_little_on_padding(planner: LocalModel, lengths: list[int]) -> None:
    requests = [Request(" A" * length, (" B",)) for length in lengths]
    batches = [[lengths[i] for i in batch] for batch in planner.plan(requests)]
    for batch in batches:
        assert sum(max(batch) - one for one in batch) <= 50
    # No batch ends without need: the next request would have been too much.
    for batch, after in pairwise(batches):
        wasted = sum(batch[0] - one for one in (*batch, after[0]))
        assert wasted > 50 or (len(batch) + 1) * (batch[0] + 1) > 200


@given(
    st.text(alphabet="aé中😀🏳️‍🌈 passage", max_size=40) | st.text(max_size=40), st.integers(0, 30)
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cut_text_has_its_tokens_and_whole_characters(
    planner: LocalModel, text: str, tokens: int
) -> None:
    found = planner.truncate(text, tokens)
    assert text.startswith(found)
    assert len(ids(found)) <= tokens
    if found != text:
        assert len(ids(text[: len(found) + 1])) > tokens


def test_a_cut_ends_before_the_character_that_does_not_fit(planner: LocalModel) -> None:
    assert len(ids("😀")) == 4
    assert [planner.truncate("😀😀", tokens) for tokens in (3, 4, 7, 8)] == ["", "😀", "😀", "😀😀"]


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


def test_the_tokenizers_limit_counts_too(tmp_path: Path) -> None:
    words = tiny.tokenizer()
    words.model_max_length = 50
    assert load(tiny.save(tmp_path, tiny.llama(), words)).context_length == 50


def test_scoring_and_generation_do_not_mix(planner: LocalModel) -> None:
    with pytest.raises(ModelError, match="cannot both"):
        planner.answer([SCORED[0], WRITTEN[0]])


def test_a_request_for_nothing_is_refused(planner: LocalModel) -> None:
    with pytest.raises(ModelError, match="options, or tokens"):
        planner.answer([WRITTEN[0], Request("A")])


# Loading


def refused(name: object, kind: type[Exception] = ModelError, **how: Any) -> str:
    """The message of a refusal; one line."""
    with pytest.raises(kind) as caught:
        load_model(str(name), **{"dtype": "float32", "device": "cpu", **how})
    message = str(caught.value)
    assert "\n" not in message
    assert "Traceback" not in message
    return message


def test_the_name_is_the_users(llama: Path) -> None:
    assert load(llama).name == str(llama)


@pytest.mark.parametrize(
    "name", ["/no/such/folder", "./nothing", "~/no-such-model", "nothing.gguf"]
)
def test_a_missing_folder_is_refused(name: str) -> None:
    assert refused(name) == f"model {name!r}: no such file or folder"


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    assert str(tmp_path) in refused(tmp_path)


@pytest.mark.parametrize("left", ["config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_is_refused(llama: Path, tmp_path: Path, left: str) -> None:
    folder = shutil.copytree(llama, tmp_path / "llama")
    (folder / left).unlink()
    message = refused(folder)
    assert message.startswith(f"cannot load the model '{folder}'")
    assert left.split(".")[0] in message


def test_a_folder_without_a_tokenizer_is_refused(llama: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(llama, tmp_path / "llama")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    assert "token" in refused(folder)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_file_is_refused(llama: Path, tmp_path: Path, file: str) -> None:
    folder = shutil.copytree(llama, tmp_path / "llama")
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: len(content) // 2])
    assert refused(folder).startswith(f"cannot load the model '{folder}'")


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_text("nothing")
    assert refused(path).startswith(f"cannot load the model '{path}'")


def test_a_model_without_a_language_models_head_is_refused(tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "headless", tiny.llama().model)
    assert "lacks weights of a language model (lm_head.weight)" in refused(folder)


def test_an_encoder_is_refused(tmp_path: Path) -> None:
    message = refused(tiny.save(tmp_path / "bert", tiny.bert()))
    assert "is an encoder" in message


def test_an_encoder_without_a_head_is_refused(tmp_path: Path) -> None:
    message = refused(tiny.save(tmp_path / "bert", tiny.bert().bert))
    assert "lacks weights of a language model" in message


def test_an_unknown_number_format_is_refused(llama: Path) -> None:
    message = refused(llama, UnknownNameError, dtype="bfloat")
    assert "did you mean 'bfloat16'?" in message


@pytest.mark.parametrize("device", ["toaster", "cuda:99"])
def test_a_device_that_is_not_here_is_refused(llama: Path, device: str) -> None:
    assert refused(llama, InputError, device=device).startswith(f"device {device!r} cannot be used")


# Code that comes with a model


def with_code(folder: Path, marker: Path, where: str) -> Path:
    """A model whose own module, once imported, leaves a marker."""
    folder.mkdir(exist_ok=True)
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    if where == "config":
        config = {
            "model_type": "evil",
            "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"},
        }
        (folder / "config.json").write_text(json.dumps(config))
        return folder
    file, auto_map = {
        "model": ("config.json", {"AutoModelForCausalLM": "evil.Model", "AutoConfig": "evil.C"}),
        "tokenizer": ("tokenizer_config.json", {"AutoTokenizer": ["evil.Words", "evil.Words"]}),
    }[where]
    settings = json.loads((folder / file).read_text())
    settings["auto_map"] = auto_map
    if where == "tokenizer":
        settings["tokenizer_class"] = "EvilTokenizer"
    (folder / file).write_text(json.dumps(settings))
    return folder


def test_code_that_comes_with_a_model_is_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    folder = with_code(tmp_path / "model", marker, "config")
    message = refused(folder)
    assert "--trust-remote-code" in message
    assert str(folder) in message
    assert not marker.exists()


def test_code_beside_a_model_that_transformers_knows_is_not_run(
    llama: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    folder = with_code(shutil.copytree(llama, tmp_path / "llama"), marker, "model")
    assert load(folder).answer(SCORED) == load(llama).answer(SCORED)
    assert not marker.exists()


def test_code_that_comes_with_a_tokenizer_is_not_run(llama: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    folder = with_code(shutil.copytree(llama, tmp_path / "llama"), marker, "tokenizer")
    assert "--trust-remote-code" in refused(folder)
    assert not marker.exists()


def test_trusted_code_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # So the tests above would see it run.
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "hub"))
    monkeypatch.syspath_prepend(tmp_path / "hub")
    marker = tmp_path / "marker"
    refused(with_code(tmp_path / "model", marker, "config"), trust_remote_code=True)
    assert marker.exists()


# Fingerprints


def test_a_fingerprint_is_the_same_after_reloading_and_moving(llama: Path, tmp_path: Path) -> None:
    fingerprint = load(llama).fingerprint
    assert load(llama).fingerprint == fingerprint
    assert load(shutil.copytree(llama, tmp_path / "moved")).fingerprint == fingerprint
    assert load(llama, batch_tokens=7).fingerprint == fingerprint


def test_a_fingerprint_changes_with_all_that_answers_depend_on(llama: Path, tmp_path: Path) -> None:
    def changed(name: str, change: Callable[[Any], None], **words: Any) -> str:
        model = plain(llama)
        with torch.no_grad():
            change(model)
        settings = {"template": tiny.TEMPLATE, **words}
        return load(tiny.save(tmp_path / name, model, tiny.tokenizer(**settings))).fingerprint

    def nudge(model: Any) -> None:
        # A number that the sample of 1,024 leaves out.
        weight = model.model.embed_tokens.weight
        assert weight.numel() // 1024 > 7
        weight.view(-1)[7] += 1e-6

    def end(model: Any) -> None:
        model.generation_config.eos_token_id = 5

    def turn(model: Any) -> None:
        model.config.rope_parameters = {"rope_type": "default", "rope_theta": 77.0}

    def swap(model: Any) -> None:
        one, other = (layer.mlp.up_proj for layer in model.model.layers)
        one.weight, other.weight = other.weight, one.weight

    same = changed("same", lambda _: None)
    assert same == load(llama).fingerprint
    prints = [
        same,
        load(llama, dtype="bfloat16").fingerprint,
        load(llama, dtype="float16").fingerprint,
        changed("nudged", nudge),
        changed("swapped", swap),
        changed("ended", end),
        changed("turned", turn),
        changed("template", lambda _: None, template=tiny.TEMPLATE + " "),
        changed("no-template", lambda _: None, template=None),
        changed("words", lambda _: None, bos=True),
    ]
    assert len(set(prints)) == len(prints)


# Half precision


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_last_projection_is_in_float32(folder: Path, dtype: str) -> None:
    model = load(folder, dtype=dtype)._model
    half = getattr(torch, dtype)
    ids = torch.tensor([[5, 6, 7]])
    more = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    with torch.inference_mode():
        logits = model(input_ids=ids, **more).logits
    assert logits.dtype == torch.float32
    assert (logits.to(half).float() != logits).float().mean() > 0.5
    # The input embeddings may be the same weights; they stay as they are.
    words = model.get_input_embeddings().weight
    assert words.dtype == half
    assert torch.equal(words, plain(folder).get_input_embeddings().weight.to(half))
    head = model.get_output_embeddings().weight
    assert head.dtype == torch.float32
    whole = head.to_dense() if head.is_mkldnn else head
    assert torch.equal(whole, words.float()) is (folder.name != "llama")


def test_half_precision_answers_are_near(folder: Path) -> None:
    exact, _ = load(folder).answer(SCORED)
    near, _ = load(folder, dtype="bfloat16").answer(SCORED)
    for one, other in zip(exact, near, strict=True):
        assert other.loglikelihoods == pytest.approx(one.loglikelihoods, rel=0.1, abs=1.5)
        assert other.tokens == one.tokens
    texts, _ = load(folder, dtype="bfloat16").answer(WRITTEN)
    assert all(one.text for one in texts)
