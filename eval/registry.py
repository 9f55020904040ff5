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
        aliases: further names, in lower case, such as those of trec_eval and ir_measures.
        cutoff: whether the measure takes a cutoff, as in ``ndcg@10``.
        function: "module:function" of a ``QueryMeasure`` for measures that ranx does not have;
            empty for a measure of ranx, which has the same name there.
    """

    aliases: tuple[str, ...] = ()
    cutoff: Literal["optional", "required", "none"] = "optional"
    function: str = ""

    def load(self) -> QueryMeasure:
        """Imports the function."""
        module, _, name = self.function.partition(":")
        function: QueryMeasure = getattr(import_module(module), name)
        return function


KINDS: dict[str, MeasureKind] = {
    "ndcg": MeasureKind(("ndcg_cut",)),
    "map": MeasureKind(("ap", "map_cut")),
    "mrr": MeasureKind(("rr", "recip_rank")),
    "precision": MeasureKind(("p",), cutoff="required"),
    "recall": MeasureKind(("r",)),
    "rbp": MeasureKind(cutoff="none"),
    "bpref": MeasureKind(cutoff="none", function="rankprompt.eval.bpref:bpref"),
    "judged": MeasureKind(cutoff="required", function="rankprompt.eval.judged_share:judged_share"),
}
"""The kinds of measures by their canonical names, which are ranx's where ranx has the measure."""
