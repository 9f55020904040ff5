"""A real vLLM in its own process ranks as the local engine does: `make test-vllm`."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from rankprompt.llm.embedded import converted_folder
from rankprompt.llm.local import model as local
from rankprompt.prompts.prompt import load_prompt
from rankprompt.prompts.prompt_file import format_prompt
from tests.llm import tiny
from tests.llm.local.small_models import SCORED
from tests.llm.vllm.rank import METHODS, OneModel, rank
from tests.servers.vllm_process import ENVIRONMENT, vllm_python

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[3]
OPTIONS = json.dumps(
    # The CPU build's own blocks have 128 tokens, more than what these prompts share.
    {"block_size": 32, "enforce_eager": True, "max_model_len": 2048, "disable_log_stats": False}
)


def in_vllm(module: str, question: Any, folder: Path) -> Any:
    """What a module of these tests answers, run by the Python that has vLLM."""
    asked, answered = folder / "asked.json", folder / "answered.json"
    asked.write_text(json.dumps(question))
    ran = subprocess.run(
        [str(vllm_python()), "-m", module, str(asked), str(answered)],
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(answered.read_text())


@pytest.fixture(scope="module")
def base(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The options of ten queries, ten candidates each, cut to 64 tokens."""
    dl19, folder = data / "dl19", tmp_path_factory.mktemp("vllm")
    return {
        "run": str(dl19 / "run.bm25.trec"),
        "queries": str(dl19 / "queries.tsv"),
        "docs": str(dl19 / "docs.jsonl"),
        "output": str(folder / "run.trec"),
        "journal": str(folder / "answers.journal"),
        "depth": 10,
        "limit": 10,
        "passage_tokens": 64,
        "dtype": "float32",
    }


def test_four_kinds_of_questions_rank_as_in_the_local_engine(
    base: dict[str, Any], tmp_path: Path
) -> None:
    model = {"model": f"vllm:{converted_folder()}", "engine_options": OPTIONS}
    asked = {name: {**base, **model, **options} for name, options in METHODS.items()}
    found = in_vllm("tests.llm.vllm.rank", asked, tmp_path)
    print(json.dumps({name: one["costs"] for name, one in found["results"].items()}))  # noqa: T201
    own = OneModel()
    for name, options in METHODS.items():
        local_options = {**base, **options, "model": "smollm2-135m", "threads": 1}
        expected = rank(local_options, own)
        one = found["results"][name]
        assert len(one["rankings"]) == 10
        assert one["rankings"] == expected["rankings"], name
        assert one["unreadable"] == expected["unreadable"] == 0
        assert one["costs"]["prompts"] == expected["costs"]["prompts"]
    hits = found["metrics"]["vllm:prefix_cache_hits"]
    print(f"prefix cache: {hits} of {found['metrics']['vllm:prefix_cache_queries']} tokens")  # noqa: T201
    assert hits == sum(one["costs"]["reused"] for one in found["results"].values()) > 1000
    # All is in the journal: no engine is started.
    again = in_vllm("tests.llm.vllm.rank", asked, tmp_path)
    assert again["metrics"] == {}
    assert all(one["costs"]["prompts"] == 0 for one in again["results"].values())
    assert [one["rankings"] for one in again["results"].values()] == [
        one["rankings"] for one in found["results"].values()
    ]


# Of PEFT's own use of transformers.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
def test_the_folder_of_a_student_ranks_as_in_the_local_engine(
    base: dict[str, Any], tmp_path: Path
) -> None:
    student = tmp_path / "student"
    torch.manual_seed(0)
    settings = LoraConfig(
        r=16, lora_alpha=4, target_modules=["q_proj", "o_proj", "down_proj"],
        layers_to_transform=list(range(15, 30)), init_lora_weights=False, task_type="CAUSAL_LM",
    )  # fmt: skip
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(converted_folder()), settings)
    adapted.save_pretrained(str(student))
    (student / "prompt.toml").write_text(format_prompt(load_prompt("relevance-yes-no")))
    options = {**base, "limit": 5, "journal": str(tmp_path / "answers.journal")}
    model = {"model": f"vllm:{student}", "engine_options": OPTIONS}
    found = in_vllm("tests.llm.vllm.rank", {"student": {**options, **model}}, tmp_path)
    expected = rank({**options, "model": str(student), "threads": 1}, OneModel())
    assert len(expected["rankings"]) == 5
    assert found["results"]["student"]["rankings"] == expected["rankings"]
    plain = rank(
        {**options, "model": "smollm2-135m", "prompt": "relevance-yes-no", "threads": 1}, OneModel()
    )
    assert plain["rankings"] != expected["rankings"]


def lora(folder: Path) -> dict[str, torch.Tensor]:
    """Writes a LoRA adapter as PEFT does; returns what it adds to each weight."""
    settings = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8,
        "target_modules": ["q_proj", "v_proj"], "bias": "none",
    }  # fmt: skip
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    generator = torch.Generator().manual_seed(0)
    weights, added = {}, {}
    for layer in range(2):
        for name, width in (("q_proj", 256), ("v_proj", 128)):
            path = f"model.layers.{layer}.self_attn.{name}"
            a = torch.randn(4, 256, generator=generator) / 8
            b = torch.randn(width, 4, generator=generator) / 8
            weights[f"base_model.model.{path}.lora_A.weight"] = a
            weights[f"base_model.model.{path}.lora_B.weight"] = b
            added[f"{path}.weight"] = b @ a * 8 / 4
    save_file(weights, folder / "adapter_model.safetensors")
    return added


def test_options_adapters_and_number_formats_answer_as_in_the_local_engine(tmp_path: Path) -> None:
    # The heads have 64 numbers, the fewest that vLLM's kernels take.
    model = tiny.llama(hidden_size=256, num_attention_heads=4, intermediate_size=64)
    folder = tiny.save(tmp_path / "model", model, tiny.tokenizer())
    added = lora(tmp_path / "lora")
    weights = load_file(folder / "model.safetensors")
    merged = AutoModelForCausalLM.from_pretrained(folder)
    merged.load_state_dict({**weights, **{name: weights[name] + added[name] for name in added}})
    changed = tiny.save(tmp_path / "merged", merged, tiny.tokenizer())
    expected = [
        local.load(str(one), dtype="float32", device="cpu").answer(SCORED)[0]
        for one in (folder, changed)
    ]
    plain = {"folder": str(folder), "dtype": "float32"}
    adapted = {**plain, "adapter": str(tmp_path / "lora")}
    cases = [plain, adapted, {**plain, "dtype": "bfloat16"}]
    requests = [[request.prompt, list(request.options)] for request in SCORED]
    *answers, half = in_vllm(
        "tests.llm.vllm.score", {"cases": cases, "requests": requests}, tmp_path
    )
    assert expected[0][0].loglikelihoods != pytest.approx(expected[1][0].loglikelihoods, abs=0.1)
    for found, right in zip(answers, expected, strict=True):
        for one, other in zip(found, right, strict=True):
            assert one == pytest.approx(other.loglikelihoods, abs=2e-3)
    # In bfloat16, logits have 8 digits; those of output embeddings in float32 have more.
    apart = [(first - second) * 2**12 for first, second, *_ in (one for one in half if one[1:])]
    fine = [abs(number - round(number)) > 0.05 for number in apart]
    assert sum(fine) > len(fine) / 2
