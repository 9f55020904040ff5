import pytest

from rankprompt.errors import InputError
from rankprompt.llm.vllm.settings import parse_engine_options


def test_options_are_a_json_object() -> None:
    assert parse_engine_options(None) == {}
    assert parse_engine_options('{"max_num_seqs": 8, "x": [1]}') == {"max_num_seqs": 8, "x": [1]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_num_seqs=8", "no JSON"),
        ("[1]", "is a JSON object"),
        ('{"tensor_parallel_size": 2}', "set it by `tensor_parallel`"),
        ('{"enable_lora": true}', "set it by `adapter`"),
        ('{"skip_tokenizer_init": false}', "rankprompt sets it"),
    ],
)
def test_other_options_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_engine_options(text)
