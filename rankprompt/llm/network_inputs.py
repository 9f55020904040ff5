"""What networks are given: settings, and encoded texts as padded arrays."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tokenizers import Encoding

__all__ = ["Forward", "NetworkSettings", "padded_inputs"]

Forward: TypeAlias = Callable[[Mapping[str, npt.NDArray[np.int64]]], npt.NDArray[np.float32]]
"""Maps the named inputs, shape (texts, tokens), to the network's first output."""


class NetworkSettings(NamedTuple):
    """How a network computes; the fields are as for ``load_model``.

    ``dtype`` "auto" is float32: rounded scores would tie.
    """

    dtype: str = "auto"
    device: str = "auto"
    threads: int | None = None
    trust_remote_code: bool = False


def padded_inputs(texts: Sequence["Encoding"], pad: int) -> dict[str, npt.NDArray[np.int64]]:
    """The inputs of some texts, padded on the right with the token ``pad``; (texts, tokens)."""
    return {
        "input_ids": _pad([text.ids for text in texts], pad),
        "attention_mask": _pad([text.attention_mask for text in texts]),
        "token_type_ids": _pad([text.type_ids for text in texts]),
    }


def _pad(rows: Sequence[Sequence[int]], pad: int = 0) -> npt.NDArray[np.int64]:
    padded = np.full((len(rows), max(map(len, rows))), pad, dtype=np.int64)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
    return padded
