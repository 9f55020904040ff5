"""The compressor in LangChain: chains, serialisation, its own checks."""

import asyncio
import copy
from pathlib import Path

import pytest
from langchain_core.documents import Document
from langchain_core.load import dumps, loads
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from pydantic import ValidationError

from rankprompt.errors import InputError
from rankprompt.integrations.langchain import RankpromptCompressor
from tests.cascade.toy_models import teacher

__all__ = ["teacher"]

QUERY = "why is the sky blue"
TEXTS = ["a mill by the river", "bees", "blue light is scattered", "a boat"]
DOCUMENTS = [Document(text, metadata={"source": f"{text}.txt"}) for text in TEXTS]


def test_a_chain_runs_it_in_both_ways(teacher: Path) -> None:
    compressor = RankpromptCompressor(str(teacher), top_n=2)
    first: RunnableLambda[str, list[Document]] = RunnableLambda(lambda _: DOCUMENTS)
    rerank = RunnableLambda(
        lambda found: compressor.compress_documents(**found),
        afunc=lambda found: compressor.acompress_documents(**found),
    )
    chain = {"documents": first, "query": RunnablePassthrough()} | rerank
    found = chain.invoke(QUERY)
    assert [document.metadata["source"] for document in found] == [
        f"{document.page_content}.txt" for document in found
    ]
    best, second = (document.metadata["relevance_score"] for document in found)
    assert 1 >= best > second >= 0
    assert asyncio.run(chain.ainvoke(QUERY)) == found
    assert "relevance_score" not in DOCUMENTS[0].metadata


@pytest.mark.filterwarnings("ignore:The function `loads` is in beta")
def test_langchain_writes_and_loads_it(teacher: Path) -> None:
    compressor = RankpromptCompressor(str(teacher), top_n=2, method="allpair", options={"seed": 3})
    text = dumps(compressor)
    loaded = loads(text, allowed_objects=[RankpromptCompressor], valid_namespaces=["rankprompt"])
    assert loaded == compressor
    assert loaded.compress_documents(DOCUMENTS, QUERY) == compressor.compress_documents(
        DOCUMENTS, QUERY
    )


def test_a_copy_is_equal_and_settings_that_the_model_follows_do_not_change(teacher: Path) -> None:
    compressor = RankpromptCompressor(str(teacher))
    assert copy.deepcopy(compressor) == compressor
    compressor.top_n = 1
    assert len(compressor.compress_documents(DOCUMENTS, QUERY)) == 1
    with pytest.raises(ValidationError, match="frozen"):
        compressor.model = "another"
    with pytest.raises(ValidationError, match="top_n"):
        compressor.top_n = -1
    assert len(compressor.model_copy(update={"top_n": 2}).compress_documents(DOCUMENTS, QUERY)) == 2
    with pytest.raises(ValidationError, match="top_n"):
        compressor.model_copy(update={"top_n": -1})
    with pytest.raises(InputError, match="`threshold` cannot change in a copy"):
        compressor.model_copy(update={"threshold": 0.99})


def test_mistakes_are_told_when_it_is_made(teacher: Path) -> None:
    with pytest.raises(ValidationError, match="top_n"):
        RankpromptCompressor(str(teacher), top_n=-1)
    with pytest.raises(InputError, match="unknown option `sead`"):
        RankpromptCompressor(str(teacher), options={"sead": 1})
    with pytest.raises(InputError, match="a query must be a text that is not blank"):
        RankpromptCompressor(str(teacher)).compress_documents(DOCUMENTS, " ")
