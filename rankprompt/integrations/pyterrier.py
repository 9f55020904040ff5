"""``RankpromptTransformer``: a ``Reranker`` as a step of a PyTerrier pipeline."""

from typing import TYPE_CHECKING

from rankprompt.errors import InputError, naming_extras

with naming_extras():
    import pyterrier as pt

if TYPE_CHECKING:
    import pandas as pd

    from rankprompt.api.reranker import Reranker

__all__ = ["RankpromptTransformer"]


class RankpromptTransformer(pt.Transformer):
    """Reranks the documents of each query; ``Reranker.pyterrier`` makes one.

    The result has the rows of the input, best first, with all their columns, new scores and new
    ranks. A row leaves it only where its score is below the reranker's ``threshold``.

    Args:
        reranker: ranks the documents.
        text_field: the column of the documents' texts.

    Examples:
        >>> from rankprompt import Reranker
        >>> Reranker().pyterrier()
        RankpromptTransformer('pointwise with ms-marco-minilm-l12', 'text')
    """

    def __init__(self, reranker: "Reranker", text_field: str = "text") -> None:
        super().__init__()
        self.reranker, self.text_field = reranker, text_field

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reranker.job.title!r}, {self.text_field!r})"

    def transform_inputs(self) -> list[list[str]]:
        """The columns that a frame must have."""
        return [["qid", "query", "docno", self.text_field]]

    def transform(self, inp: "pd.DataFrame") -> "pd.DataFrame":
        """Reranks the documents of all queries together, so that they fill the model's batches.

        Args:
            inp: one row for each query and document; where it has a ``rank``, or else a ``score``,
                that is the first stage's order.

        Raises:
            InputValidationError: a column is missing.
            InputError: the text of a query is blank; the message names the query.
            RankpromptError: as ``Reranker.rank_many``.
        """
        import pandas as pd

        self._check(inp)
        order = next((name for name in ("rank", "score") if name in inp), None)
        if order:
            inp = inp.sort_values(order, ascending=order == "rank", kind="stable")
        groups = [group for _, group in inp.groupby("qid", sort=False)]
        if not groups:
            return pt.model.add_ranks(inp.assign(score=pd.Series(dtype=float)))
        queries = {group["qid"].iloc[0]: group["query"].iloc[0] for group in groups}
        for name, query in queries.items():
            if not isinstance(query, str) or not query.strip():
                raise InputError(
                    f"query {name!r}: its text must not be blank; leave its rows out of the frame"
                )
        rankings = self.reranker.rank_many(
            list(queries.values()),
            [
                [text if isinstance(text, str) else "" for text in group[self.text_field]]
                for group in groups
            ],
        )
        reranked = [
            group.iloc[[one.index for one in ranking]].assign(score=[one.score for one in ranking])
            for group, ranking in zip(groups, rankings, strict=True)
        ]
        return pt.model.add_ranks(pd.concat(reranked, ignore_index=True))

    def _check(self, inp: "pd.DataFrame") -> None:
        try:
            pt.validate.columns(inp, includes=self.transform_inputs()[0], context=self)
        except pt.validate.InputValidationError as error:
            if self.text_field in inp:
                raise
            raise pt.validate.InputValidationError(
                f"documents without texts: no column {self.text_field!r}; put "
                f"pt.text.get_text(dataset, {self.text_field!r}) before {self}",
                error.modes,
            ) from None
