"""A model in vLLM answers as the local one does, here by a fake vLLM; test_real.py has the real."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rankprompt.errors import InputError, MissingPackageError, ModelError, UnknownNameError
from rankprompt.llm import load_model
from rankprompt.llm.base import Request
from rankprompt.llm.local import model as local
from rankprompt.llm.vllm.settings import EngineSettings
from tests.llm import tiny
from tests.llm.local import scripted
from tests.llm.local.small_models import SCORED

CHAT = [
    Request("Which passage is more relevant?", (" Passage A", " Passage B"), chat=True),
    Request("The harbour is quiet.", (" 1", " 10", " 2"), chat=True),
]
WRITTEN = [Request("An old mill", max_tokens=7), Request("A", max_tokens=3, chat=True)]


def in_vllm(folder: Path, **how: Any) -> Any:
    return load_model(f"vllm:{folder}", **{"dtype": "float32", **how})


def test_options_are_scored_as_by_the_local_model(
    started: list[dict[str, Any]], llama: Path
) -> None:
    requests = [*SCORED, *CHAT]
    expected, _ = local.load(str(llama), dtype="float32", device="cpu").answer(requests)
    model = in_vllm(llama)
    for one, other in zip(model.answer(requests)[0], expected, strict=True):
        assert one.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-4)
        assert one.tokens == other.tokens
    assert len(started) == 1


@pytest.mark.usefixtures("started")
def test_texts_are_those_of_the_local_model(llama: Path) -> None:
    expected, _ = local.load(str(llama), dtype="float32", device="cpu").answer(WRITTEN)
    answers, usage = in_vllm(llama).answer(WRITTEN)
    assert answers == expected
    assert usage.written == 10
    assert usage.tokens == 10 + sum(in_vllm(llama).length(one) for one in WRITTEN) - 10


@pytest.mark.usefixtures("started")
def test_reasoning_is_given_room(tmp_path: Path) -> None:
    words = tiny.tokenizer()
    words.add_tokens(["<think>", "</think>"])
    start, opens, closes, a = (words(one).input_ids[0] for one in ("x", "<think>", "</think>", "A"))
    middle = words(" The harbour is quiet").input_ids
    order = [start, opens, *middle, closes, a, 1]
    model = scripted.follows(dict(pairwise(order)), len(words))
    folder = tiny.save(tmp_path, model, words)
    request = Request("x", max_tokens=3)
    (expected,), _ = local.load(str(folder), dtype="float32", device="cpu").answer([request])
    (answer,), usage = in_vllm(folder).answer([request])
    assert answer == expected
    assert answer.text == "A"
    assert usage.written == 3 + len(order) - 1


@pytest.mark.usefixtures("started")
def test_prompts_that_begin_alike_are_neighbours_in_one_batch(llama: Path) -> None:
    prompts = ["The harbour is", "An old mill", "The harbour was", "An old mill stands"]
    requests = [
        *(Request(prompt, (" A", " B")) for prompt in prompts),
        Request("A", max_tokens=3),
    ]
    scored, written = in_vllm(llama).plan(requests)
    assert written == [4]
    assert sorted(scored) == [0, 1, 2, 3]
    assert abs(scored.index(0) - scored.index(2)) == 1
    assert in_vllm(llama).plan(requests) == [scored, written]
    many = [Request(f"{number}", (" A", " B")) for number in range(150)]
    assert [len(batch) for batch in in_vllm(llama).plan(many)] == [64, 64, 22]


def test_counting_and_cutting_start_no_engine(started: list[dict[str, Any]], llama: Path) -> None:
    model, other = in_vllm(llama), local.load(str(llama), dtype="float32", device="cpu")
    text = "The harbour is quiet in the morning </s> and the boats are asleep."
    assert model.truncate(text, 6) == other.truncate(text, 6)
    assert model.escape(text) == other.escape(text) != text
    assert [model.length(one) for one in [*SCORED, *CHAT]] == [
        other.length(one) for one in [*SCORED, *CHAT]
    ]
    assert (model.name, model.context_length) == (f"vllm:{llama}", 128)
    assert model.dtype == "float32"
    assert not started


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize(
    ("requests", "message"),
    [
        ([Request("a" * 600, (" A",))], "does not fit into the 128"),
        ([Request("A", (" B",)), Request("A", max_tokens=1)], "cannot both score"),
        ([Request("A")], "must have options, or tokens"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    requests: list[Request], message: str, llama: Path
) -> None:
    with pytest.raises(ModelError, match=message):
        in_vllm(llama).answer(requests)


# The engine


def test_the_engine_is_started_as_the_settings_say(
    started: list[dict[str, Any]], llama: Path
) -> None:
    settings = EngineSettings(2, {"gpu_memory_utilization": 0.5, "max_model_len": 100})
    model = in_vllm(llama, dtype="auto", batch_tokens=512, engine=settings)
    assert model.context_length == 100
    model.plan([Request("A", (" B",))])
    (engine,) = started
    assert engine == {
        "model": str(llama),
        "dtype": "bfloat16",  # that of weights in float32, as in vLLM
        "runner": "generate",
        "skip_tokenizer_init": True,
        "generation_config": "vllm",
        "trust_remote_code": False,
        "tensor_parallel_size": 2,
        "distributed_executor_backend": "mp",
        "hf_overrides": {"head_dtype": "float32"},
        "max_model_len": 100,
        "max_num_batched_tokens": 512,
        "gpu_memory_utilization": 0.5,
        "seed": 0,
        "use_tqdm_on_load": False,
    }


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize(
    ("fails", "said"),
    [
        (
            "To serve at least one request with the model's max seq len (4096), 9 GiB is needed.",
            "vLLM cannot run .*: To serve at least one request .* max_model_len",
        ),
        (
            "1 validation error for ModelConfig\n  Value error, no such dtype [type=value_error]\n"
            "    For further information",
            "vLLM cannot run .*: no such dtype \\(",
        ),
    ],
)
def test_an_engine_that_does_not_start_says_why_in_one_line(
    fails: str, said: str, llama: Path
) -> None:
    model = in_vllm(llama, engine=EngineSettings(options={"fails": fails}))
    with pytest.raises(ModelError, match=said) as caught:
        model.plan([Request("A", (" B",))])
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("started")
def test_an_engine_that_dies_leaves_the_journal(llama: Path) -> None:
    model = in_vllm(llama, engine=EngineSettings(options={"dies": "EngineCore is gone\nlines"}))
    with pytest.raises(ModelError, match=r"vLLM stopped .*EngineCore is gone; .*journal"):
        model.answer([Request("A", (" B",))])


@pytest.mark.usefixtures("started")
def test_another_device_is_refused(llama: Path) -> None:
    with pytest.raises(InputError, match="runs on 'cpu'"):
        in_vllm(llama, device="cuda").plan([Request("A", (" B",))])
    with pytest.raises(InputError, match="CUDA_VISIBLE_DEVICES"):
        in_vllm(llama, device="cuda:1")


def test_without_vllm_its_pip_line_is_told(llama: Path) -> None:
    with pytest.raises(MissingPackageError, match=r"a model in vLLM needs vllm; run: pip install"):
        load_model(f"vllm:{llama}")


def test_settings_of_vllm_play_no_part_elsewhere(llama: Path) -> None:
    with pytest.raises(InputError, match="go with a model vllm:ID"):
        load_model(str(llama), engine=EngineSettings(2))


@pytest.mark.usefixtures("started")
def test_other_settings_play_no_part_here(llama: Path) -> None:
    with pytest.raises(InputError, match="`quantize` plays no part in `model` vllm:"):
        load_model(f"vllm:{llama}", quantize="4bit")
    with pytest.raises(InputError, match="`threads` plays no part"):
        in_vllm(llama, threads=2)
    with pytest.raises(InputError, match="`quantize` plays no part"):
        in_vllm(llama, quantize="4bit")
    with pytest.raises(UnknownNameError, match="float8"):
        in_vllm(llama, dtype="float8")


@pytest.mark.usefixtures("started")
def test_with_an_adapter_no_prompt_is_listed(llama: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4}')
    requests = [Request("The harbour is quiet", (" in the morning, and the boats are asleep",))]
    (plain,), usage = in_vllm(llama).answer(requests)
    (adapted,), more = in_vllm(llama, adapter=str(tmp_path)).answer(requests)  # the fake has none
    assert adapted.loglikelihoods == pytest.approx(plain.loglikelihoods, abs=1e-4)
    assert more.tokens > usage.tokens


def test_the_folder_of_an_adapter_is_its_base_with_it(
    started: list[dict[str, Any]], llama: Path, tmp_path: Path
) -> None:
    settings = {"peft_type": "LORA", "r": 4, "base_model_name_or_path": str(llama)}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    found, both = in_vllm(tmp_path), in_vllm(llama, adapter=str(tmp_path))
    assert found.name == f"vllm:{tmp_path}"
    assert found.fingerprint == both.fingerprint
    found.answer([Request("The harbour is", (" quiet",))])
    assert started[-1]["enable_lora"]
    assert started[-1]["model"] == str(llama)
