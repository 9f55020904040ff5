"""``RankpromptCrossEncoder``: a ``Reranker`` for code that expects sentence-transformers' one.

The package sentence_transformers is not needed.
"""

from collections.abc import Sequence
from typing import Any

from rankprompt.api.documents import read_sequence
from rankprompt.api.reranker import Reranker
from rankprompt.errors import InputError

__all__ = ["RankpromptCrossEncoder"]


class RankpromptCrossEncoder:
    """A reranker with the methods ``rank`` and ``predict`` of sentence-transformers' CrossEncoder.

    Arguments have the order that they have in sentence-transformers 6.2. Those that only change
    CrossEncoder's speed (``batch_size``, ``show_progress_bar``, ``chunk_size``) are accepted and
    play no part. Those that would change scores, such as ``activation_fn`` and ``prompt``, and
    those of several processes, must be left out or be None.

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
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,  # noqa: ARG002 - CrossEncoder's signature
        show_progress_bar: bool | None = None,  # noqa: ARG002
        activation_fn: Any = None,
        device: Any = None,
        pool: Any = None,
        chunk_size: int | None = None,  # noqa: ARG002
        **others: Any,
    ) -> list[dict[str, Any]]:
        """Ranks documents for a query.

        Args:
            query: the query's text.
            documents: texts.
            top_k: the most documents of the result; None for all.
            return_documents: also give the texts.
            prompt_name: None.
            prompt: None.
            batch_size: plays no part.
            show_progress_bar: plays no part.
            activation_fn: None.
            device: None.
            pool: None.
            chunk_size: plays no part.
            others: of other releases: None, but for ``convert_to_numpy`` and ``convert_to_tensor``,
                which play no part here.

        Returns:
            For each document, best first, a dictionary with its position ("corpus_id"), its
            "score" from 0 to 1, and its "text" where it was asked for.

        Raises:
            RankpromptError: as ``Reranker.rank``.
        """
        for name in ("convert_to_numpy", "convert_to_tensor"):
            others.pop(name, None)
        _refuse(
            prompt_name=prompt_name, prompt=prompt, activation_fn=activation_fn, device=device,
            pool=pool, **others,
        )  # fmt: skip
        texts = read_sequence("documents", documents)
        ranking = self.reranker.rank(query, texts, top_k=top_k)
        return [
            {"corpus_id": one.index, "score": one.score}
            | ({"text": texts[one.index]} if return_documents else {})
            for one in ranking
        ]

    def predict(
        self,
        inputs: Sequence[Any],
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,  # noqa: ARG002 - CrossEncoder's signature
        show_progress_bar: bool | None = None,  # noqa: ARG002
        activation_fn: Any = None,
        apply_softmax: bool | None = False,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: Any = None,
        pool: Any = None,
        chunk_size: int | None = None,  # noqa: ARG002
        **others: Any,
    ) -> Any:
        """Scores pairs of a query and a document.

        The pairs of the same query are ranked together. Scores of different queries, or of
        different calls, can be compared only where the method is pointwise, which scores each
        document by itself; those of other methods are relative to the query's documents in the
        call. Equal scores are separated, and n documents' scores move by at most n millionths.

        Args:
            inputs: pairs of texts (query, document), or a single pair.
            prompt_name: None.
            prompt: None.
            batch_size: plays no part.
            show_progress_bar: plays no part.
            activation_fn: None.
            apply_softmax: False.
            convert_to_numpy: False for a list of tensors.
            convert_to_tensor: return a tensor of torch.
            device: None.
            pool: None.
            chunk_size: plays no part.
            others: of other releases: None.

        Returns:
            A numpy array of float32, shape [pairs]; or, as asked for, a tensor of this shape, or a
            list of tensors without dimensions. Of a single pair, its score.

        Raises:
            RankpromptError: as ``Reranker.rank``.
        """
        import numpy as np

        _refuse(
            prompt_name=prompt_name, prompt=prompt, activation_fn=activation_fn,
            apply_softmax=apply_softmax, device=device, pool=pool, **others,
        )  # fmt: skip
        single = _is_pair(inputs) and all(isinstance(one, str) for one in inputs)
        pairs = [inputs] if single else list(inputs)
        if not all(map(_is_pair, pairs)):
            raise InputError("`inputs` must be pairs of a query and a document")
        positions: dict[str, list[int]] = {}
        for position, (query, _) in enumerate(pairs):
            if not isinstance(query, str) or not query.strip():
                raise InputError(
                    f"`inputs`: the query of pair {position} must be a text that is not blank, not "
                    f"{query!r:.80}"
                )
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
        if convert_to_tensor or not convert_to_numpy:
            import torch

            result = torch.from_numpy(scores)
            if not convert_to_tensor:
                result = list(result)
        return result[0] if single else result


class _ModelCard:
    """Stands for the model card, to which sentence-transformers' evaluators write."""

    def set_evaluation_metrics(self, *_: Any) -> None:
        """Keeps nothing: the evaluator returns its metrics."""


def _is_pair(given: Any) -> bool:
    return not isinstance(given, str) and hasattr(given, "__len__") and len(given) == 2


def _refuse(**changing: Any) -> None:
    """Checks that no argument is given that would change scores."""
    for name, value in changing.items():
        if value:
            raise InputError(f"`{name}` plays no part; leave it out, and give Reranker its options")
