import json
from pathlib import Path

import pytest

from rankprompt.errors import InputError, ModelError
from rankprompt.judges.registry import default_prompt
from rankprompt.llm.adapter_folders import Adapted, find_adapted, own_prompt, resolve_adapted
from rankprompt.prompts.prompt import load_prompt
from rankprompt.prompts.prompt_file import format_prompt
from rankprompt.types import PairwiseQuestion, PointwiseQuestion, SetwiseQuestion


def save(folder: Path, **settings: object) -> str:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **settings}))
    return str(folder)


def test_an_adapter_stands_for_its_base_with_it(tmp_path: Path) -> None:
    name = save(tmp_path / "mine", base_model_name_or_path="org/base")
    assert find_adapted(name) == Adapted("org/base", name)
    assert resolve_adapted(name, None) == ("org/base", name)
    with pytest.raises(InputError, match="is an adapter, too: give its base, org/base, as `model`"):
        resolve_adapted(name, "other")
    for other in ("org/base", "smollm2-135m", str(tmp_path)):
        assert find_adapted(other) is None
        assert resolve_adapted(other, "a") == (other, "a")


def test_a_whole_model_with_an_adapter_beside_it_stays_what_it_is(tmp_path: Path) -> None:
    name = save(tmp_path / "mine", base_model_name_or_path="org/base")
    (tmp_path / "mine" / "config.json").write_text("{}")
    assert resolve_adapted(name, None) == (name, None)


@pytest.mark.parametrize("settings", [{}, {"base_model_name_or_path": None}])
def test_an_adapter_without_a_base_is_refused(tmp_path: Path, settings: dict[str, None]) -> None:
    name = save(tmp_path / "mine", **settings)
    with pytest.raises(ModelError, match="does not tell its base model"):
        resolve_adapted(name, None)


def test_the_prompt_in_a_folder_is_the_default_for_the_questions_that_it_puts(
    tmp_path: Path,
) -> None:
    name = save(tmp_path / "mine", base_model_name_or_path="smollm2-135m")
    of_base = default_prompt(PairwiseQuestion, "smollm2-135m")
    assert own_prompt(name) is None
    assert default_prompt(PairwiseQuestion, name) == of_base != "prp"
    path = tmp_path / "mine" / "prompt.toml"
    path.write_text(format_prompt(load_prompt("prp")))
    for model in (name, f"vllm:{name}"):
        assert default_prompt(PairwiseQuestion, model) == str(path)
        assert default_prompt(PointwiseQuestion, model) == of_base
        assert default_prompt(SetwiseQuestion, model) == "setwise"
