import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.distil.query_cleaning import QueryCleaner
from rankprompt.llm.base import Answer
from rankprompt.retrieval.analyzer import words

PASSAGE = (
    "The old mill by the river ground corn until 1902, when a flood took its wheel and the miller "
    "moved to the harbour."
)


def cleaner() -> QueryCleaner:
    return QueryCleaner(words("en"))


@pytest.mark.parametrize(
    ("text", "query"),
    [
        (" when did the mill lose its wheel", "when did the mill lose its wheel"),
        ('Why did the miller move?"\n\nText: Another', "Why did the miller move?"),
        ("\n\n  'mill by  the\triver'  \nmore", "mill by the river"),
        ("Query: mill flood 1902", "mill flood 1902"),
        ("The old mill by the river", "The old mill by the river"),  # a title
        ("“What did the mill grind?”", "What did the mill grind?"),
    ],
)
def test_the_first_line_is_the_query(text: str, query: str) -> None:
    assert cleaner().query(Answer(text=text), PASSAGE) == query


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(text="  \n"), "are empty"),
        (Answer(text=' "?!" '), "are empty"),
        (Answer(problem="empty"), "are empty"),
        (Answer(problem="refused"), "are no answer"),
        (Answer(problem="thinking"), "are no answer"),
        (Answer(text="why did the mill by", problem="cut"), "were cut off by the token limit"),
        (Answer(text="What does this passage say of the mill?"), "refer to the passage"),
        (Answer(text="mills, according to the text"), "refer to the passage"),
        (Answer(text=PASSAGE[: PASSAGE.index(" moved")].upper()), "copy the passage"),
        (Answer(text="how to bake a cake"), "share no word with the passage"),
    ],
)
def test_what_is_no_query_is_counted_by_its_reason(answer: Answer, reason: str) -> None:
    one = cleaner()
    assert one.query(answer, PASSAGE) is None
    assert one.dropped == {reason: 1}


def test_a_cut_answer_counts_where_its_first_line_is_whole() -> None:
    answer = Answer(text="who moved to the harbour\nPassage: The", problem="cut")
    assert cleaner().query(answer, PASSAGE) == "who moved to the harbour"


def test_a_query_counts_once_however_it_is_written() -> None:
    one = cleaner()
    assert one.query(Answer(text="Where was the mill?"), PASSAGE) == "Where was the mill?"
    assert one.query(Answer(text="where was  THE mill"), PASSAGE) is None
    assert one.dropped == {"repeat another query": 1}


def test_chinese_queries_are_read_by_their_characters() -> None:
    one = QueryCleaner(words("zh"))
    assert one.query(Answer(text="磨坊在哪里？"), "旧磨坊在河边。") == "磨坊在哪里？"
    assert one.query(Answer(text="如何烤蛋糕"), "旧磨坊在河边。") is None


@given(st.text())
def test_a_query_is_one_line_of_one_column_with_a_word(text: str) -> None:
    query = cleaner().query(Answer(text=text), PASSAGE + text)
    if query is not None:
        assert re.search(r"\w", query)
        assert query == " ".join(query.split())
        assert query in " ".join(text.split())
