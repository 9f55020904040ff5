"""``RankpromptCrossEncoder``: a ``Reranker`` for code that expects sentence-transformers' one.

The package sentence_transformers is not needed.
"""

from collections.abc import Sequence
from typing import Any

from rankprompt.api.reranker import Reranker
from rankprompt.errors import InputError

__all__ = ["RankpromptCrossEncoder"]

# They change how fast sentence-transformers computes, and no score.
_SPEED = ("batch_size", "show_progress_bar", "convert_to_numpy", "chunk_size")


class RankpromptCrossEncoder:
    """A reranker with the methods ``rank`` and ``predict`` of sentence-transformers' CrossEncoder.

    Arguments of CrossEncoder that only change its speed (``batch_size``, ``show_progress_bar``,
    ``chunk_size``) are accepted and play no part. Those that would change scores, such as
    ``activation_fn`` and ``prompt``, and those of several processes, must be left out or be None.

    Args:
        reranker: ranks the documents.

    Examples:
        >>> from rankprompt import Reranker
        >>> from rankprompt.integrations.sentence_transformers import RankpromptCrossEncoder
        >>> model = RankpromptCrossEncoder(Reranker())
    """

    def __init__(self, reranker: Reranker) -> None:
        self.reranker = reranker
        self.model_card_data = _ModelCard()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reranker.job.title})"

    def rank(
        self,
        query: str,
        documents: Sequence[str],
        top_k: int | None = None,
        return_documents: bool = False,
        **unused: Any,
    ) -> list[dict[str, Any]]:
        """Ranks documents for a query.

        Args:
            query: the query's text.
            documents: texts.
            top_k: the most documents of the result; None for all.
            return_documents: also give the texts.
            unused: see the class.

        Returns:
            For each document, best first, a dictionary with its position ("corpus_id"), its
            "score" from 0 to 1, and its "text" where it was asked for.

        Raises:
            RankpromptError: as ``Reranker.rank``.
        """
        _check(unused)
        ranking = self.reranker.rank(query, documents, top_k=top_k)
        return [
            {"corpus_id": one.index, "score": one.score}
            | ({"text": documents[one.index]} if return_documents else {})
            for one in ranking
        ]

    def predict(
        self, inputs: Sequence[Any], *, convert_to_tensor: bool = False, **unused: Any
    ) -> Any:
        """Scores pairs of a query and a document.

        The pairs of the same query are ranked together. Scores of different queries, or of
        different calls, can be compared only where the method is pointwise, which scores each
        document by itself; those of other methods are relative to the query's documents in the
        call. Equal scores are separated, and n documents' scores move by at most n millionths.

        Args:
            inputs: pairs of texts (query, document), or a single pair.
            convert_to_tensor: return a tensor of torch.
            unused: see the class.

        Returns:
            A numpy array of float32, shape [pairs]; of a single pair, its score.

        Raises:
            RankpromptError: as ``Reranker.rank``.
        """
        import numpy as np

        _check(unused)
        single = _is_pair(inputs) and all(isinstance(one, str) for one in inputs)
        pairs = [inputs] if single else list(inputs)
        if not all(map(_is_pair, pairs)):
            raise InputError("`inputs` must be pairs of a query and a document")
        positions: dict[str, list[int]] = {}
        for position, (query, _) in enumerate(pairs):
            positions.setdefault(query, []).append(position)
        rankings = self.reranker.rank_many(
            list(positions),
            [[pairs[position][1] for position in group] for group in positions.values()],
            threshold=0.0,
        )
        scores = np.zeros(len(pairs), dtype=np.float32)
        for group, ranking in zip(positions.values(), rankings, strict=True):
            for one in ranking:
                scores[group[one.index]] = one.score
        result: Any = scores
        if convert_to_tensor:
            import torch

            result = torch.from_numpy(scores)
        return result[0] if single else result


class _ModelCard:
    """Stands for the model card, to which sentence-transformers' evaluators write."""

    def set_evaluation_metrics(self, *_: Any) -> None:
        """Keeps nothing: the evaluator returns its metrics."""


def _is_pair(given: Sequence[Any]) -> bool:
    return not isinstance(given, str) and len(given) == 2


def _check(unused: dict[str, Any]) -> None:
    for name, value in unused.items():
        if name not in _SPEED and value:
            raise InputError(f"`{name}` plays no part; leave it out, and give Reranker its options")
