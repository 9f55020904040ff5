"""The table of measures. A new measure is a new file and a line here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from rankprompt.eval.measures import Measure

__all__ = ["KINDS", "MeasureKind", "QueryMeasure"]

QueryMeasure: TypeAlias = "Callable[[Sequence[str], Mapping[str, int], Measure], float]"
"""Takes a query's document ids, best first, its grades by id, and the measure's parameters."""


@dataclass(frozen=True)
class MeasureKind:
    """A kind of measure.

    Attributes:
        function: "module:function" of a ``QueryMeasure``.
        aliases: further names, in lower case, such as those of trec_eval and ir_measures.
        cutoff: whether the measure takes a cutoff, as in ``ndcg@10``.
    """

    function: str
    aliases: tuple[str, ...] = ()
    cutoff: Literal["optional", "required", "none"] = "optional"

    def load(self) -> QueryMeasure:
        """Imports the function."""
        module, _, name = self.function.partition(":")
        function: QueryMeasure = getattr(import_module(module), name)
        return function


_RANKS = "rankprompt.eval.rank_measures"

KINDS: dict[str, MeasureKind] = {
    "ndcg": MeasureKind(f"{_RANKS}:ndcg", ("ndcg_cut",)),
    "map": MeasureKind(f"{_RANKS}:average_precision", ("ap", "map_cut")),
    "mrr": MeasureKind(f"{_RANKS}:reciprocal_rank", ("rr", "recip_rank")),
    "precision": MeasureKind(f"{_RANKS}:precision", ("p",), cutoff="required"),
    "recall": MeasureKind(f"{_RANKS}:recall", ("r",)),
    "rbp": MeasureKind(f"{_RANKS}:rank_biased_precision", cutoff="none"),
    "bpref": MeasureKind("rankprompt.eval.bpref:bpref", cutoff="none"),
    "judged": MeasureKind("rankprompt.eval.judged_share:judged_share", cutoff="required"),
}
"""The kinds of measures by their canonical names."""
