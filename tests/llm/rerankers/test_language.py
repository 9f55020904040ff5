import pytest

from rankprompt.errors import InputError
from rankprompt.llm.rerankers.language import check_language


@pytest.mark.parametrize("model", ["ms-marco-minilm-l12", "cross-encoder:ms-marco-minilm-l12"])
@pytest.mark.parametrize("query", ["驼奶的功效", "как спят журавли", "πώς κοιμούνται"])
def test_other_writing_is_refused(model: str, query: str) -> None:
    with pytest.raises(InputError, match="has learnt English alone"):
        check_language(model, [query])


@pytest.mark.parametrize(
    "queries",
    [
        [],
        ["", "???", "2026"],
        ["what is α-synuclein"],
        ["größe überprüfen"],
        ["mills"] * 3 + ["驼奶"],
    ],
)
def test_latin_letters_pass(queries: list[str]) -> None:
    check_language("ms-marco-minilm-l12", queries)


def test_other_models_are_not_checked() -> None:
    check_language("BAAI/bge-reranker-v2-m3", ["驼奶的功效"])
    check_language("smollm2-135m", ["驼奶的功效"])


def test_the_first_hundred_queries_count() -> None:
    check_language("ms-marco-minilm-l12", ["mills"] * 100 + ["驼奶的功效"] * 10_000)
