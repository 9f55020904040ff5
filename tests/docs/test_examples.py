"""The examples in docstrings run and print the results that they show."""

import doctest
from importlib import import_module

import pytest

MODULES = [
    "rankprompt.api.documents",
    "rankprompt.api.evaluation",
    "rankprompt.api.evolver",
    "rankprompt.api.rerank_run",
    "rankprompt.api.tables",
    "rankprompt.eval.reliability",
    "rankprompt.journal.cached_model",
    "rankprompt.journal.store",
    "rankprompt.judges.adapters.pairwise",
    "rankprompt.judges.simulated.error_model",
    "rankprompt.pipeline.config_keywords",
    "rankprompt.prompts.prompt",
    "rankprompt.prompts.template",
    "rankprompt.rankers.coroutines",
    "rankprompt.rankers.driver",
    "rankprompt.rankers.reranking",
    "rankprompt.types",
]

# Their examples ask the embedded reranker.
ASKING = ["rankprompt.api.reranker"]


@pytest.mark.parametrize(
    "name", [*MODULES, *(pytest.param(name, marks=pytest.mark.model) for name in ASKING)]
)
def test_the_examples_of_a_module_run(name: str) -> None:
    results = doctest.testmod(import_module(name), raise_on_error=False)
    assert results.attempted > 0
    assert results.failed == 0
