"""How a classifier's logits are read as a score of relevance."""

import numpy as np
import numpy.typing as npt

from rankprompt.errors import ModelError

__all__ = ["read_scores"]


def read_scores(logits: npt.NDArray[np.float32], name: str) -> npt.NDArray[np.float32]:
    """Returns the log-odds that texts are relevant, shape (texts,).

    With one label that is its logit, the inverse of the sigmoid with which such classifiers are
    trained; with two, of which the second means relevant, the difference of their logits.

    Args:
        logits: Shape (texts, labels).
        name: The model's, for the message.

    Raises:
        ModelError: There are neither one label nor two.
    """
    if logits.ndim != 2 or logits.shape[1] not in (1, 2):
        had = f"has {logits.shape[1]} labels" if logits.ndim == 2 else "is no classifier"
        raise ModelError(
            f"{name} {had}; a cross-encoder has one label or two, of which the second means "
            "relevant"
        )
    scores: npt.NDArray[np.float32] = logits[:, -1] - (logits[:, 0] if logits.shape[1] == 2 else 0)
    return scores
