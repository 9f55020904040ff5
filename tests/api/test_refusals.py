"""What ``Reranker`` refuses, before a model is loaded or asked."""

import pytest

from rankprompt import Document, Reranker
from rankprompt.errors import InputError, RankpromptError
from tests.api.conftest import TEXTS
from tests.fakes import FakeModel

QUERY = "the quick brown fox"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metod": "pointwise"}, "did you mean `method`"),
        ({"method": "pointwize"}, "did you mean 'pointwise'"),
        ({"model": "ms-marco-minilm-l13"}, "did you mean"),
        ({"k": 0}, "`k` must be at least 1"),
        ({"k": "ten"}, "`k` must be a whole number"),
        ({"threshold": 2.0}, "`threshold` must be from 0 to 1"),
        ({"model": "rerank:bge"}, "needs `base_url`"),
        ({"ray": "local"}, "`ray` reranks runs"),
        ({"stages": ["pointwise@10", "heapsort@20"]}, "stage 2: heapsort reranks 20"),
        ({"max_cost": 1.0}, "`max_cost` needs the prices"),
    ],
)
def test_a_mistake_is_told_before_anything_is_loaded(
    options: dict[str, object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> FakeModel:
        raise AssertionError("nothing may be loaded")

    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", load)
    with pytest.raises(RankpromptError) as caught:
        Reranker(**options)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_bad_input_is_refused(reranker: Reranker) -> None:
    for call, message in (
        (lambda: reranker.rank(" ", TEXTS), "a query must be a text that is not blank"),
        (lambda: reranker.rank(3, TEXTS), "a query must be a text"),  # type: ignore[arg-type]
        (lambda: reranker.rank(QUERY, TEXTS, top_k=-1), "`top_k` must be a whole number"),
        (lambda: reranker.rank(QUERY, TEXTS, threshold=1.5), "`threshold` must be from 0 to 1"),
        (lambda: reranker.rank(QUERY, [("a", "x"), ("a", "y")]), "the same id"),
        (lambda: reranker.rank_many(QUERY, [TEXTS]), "for a single query, call rank"),
        (lambda: reranker.rank_many([QUERY], []), "1 queries have 0 lists"),
    ):
        with pytest.raises(InputError, match=message):
            call()
    assert reranker.rank(QUERY, []).documents == ()
    assert len(reranker.rank(QUERY, [Document("only", "one")])) == 1
