"""Measures by name: every usual spelling leads to one canonical name."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from rankprompt.errors import InputError, UnknownNameError

__all__ = ["DEFAULT_MEASURES", "GROUPS", "Measure", "parse_measure", "parse_measures"]

DEFAULT_MEASURES = ("ndcg@10", "map", "mrr", "precision@10", "recall@100")
"""What is reported where the user asks for nothing else."""

GROUPS = {
    "beir": ("ndcg@10", "recall@100"),
    "t2ranking": ("mrr@10", "recall@50", "recall@1000", "ndcg@20", "ndcg@100"),
    "trec-dl": ("ndcg@10", "map-l2@100", "mrr-l2@10", "recall-l2@100"),
}
"""What a collection's own papers report, by the group's name."""


class Measure(NamedTuple):
    """A measure of a ranking; of each, higher is better.

    Attributes:
        kind: "ndcg", "map", "mrr", "precision" or "recall".
        level: the lowest grade that counts as relevant.
        k: how many documents from the top are looked at; None for all of them.
    """

    kind: str
    level: int = 1
    k: int | None = None

    @property
    def name(self) -> str:
        """The canonical name, such as ``map-l2@100``: level 1 and a missing cutoff go unsaid."""
        return f"{self.kind}{self._level}{self._cutoff}"

    @property
    def ranx(self) -> str:
        """The name that ranx reads: its parser wants the level last, as in ``map@100-l2``."""
        return f"{self.kind}{self._cutoff}{self._level}"

    @property
    def graded(self) -> bool:
        """Whether it reads the grades themselves; all others read "relevant or not"."""
        return self.kind == "ndcg"

    @property
    def _level(self) -> str:
        return f"-l{self.level}" if self.level > 1 else ""

    @property
    def _cutoff(self) -> str:
        return f"@{self.k}" if self.k is not None else ""


# The names of trec_eval, ir_measures and ranx, in lower case, by ranx's.
_ALIASES = {
    "ndcg": ("ndcg_cut",),
    "map": ("ap", "map_cut"),
    "mrr": ("rr", "recip_rank"),
    "precision": ("p",),
    "recall": ("r",),
}
_KINDS = {alias: kind for kind, aliases in _ALIASES.items() for alias in (kind, *aliases)}

_SPELLING = re.compile(
    r"(?P<kind>[a-z]+(?:_[a-z]+)*)"
    r"(?:\(rel=(?P<rel>\d+)\))?(?:-l(?P<before>\d+))?"
    r"(?:[@_.](?P<k>-?\d+))?"
    r"(?:-l(?P<after>\d+))?"
)


def parse_measure(text: str) -> Measure:
    """Reads a measure in any of the field's usual spellings, in either case.

    ``ndcg@10``, ``nDCG@10`` and ``ndcg_cut_10`` are one measure, as are ``mrr-l2@10``,
    ``RR(rel=2)@10`` and ranx's ``mrr@10-l2``.

    Args:
        text: what the user wrote.

    Raises:
        UnknownNameError: there is no such measure; the nearest is offered.
        InputError: the cutoff or the level makes no sense for the measure.
    """
    match = _SPELLING.fullmatch(text.strip().lower())
    written = match["kind"] if match else text
    if match is None or written not in _KINDS:
        known = (*_ALIASES, *GROUPS)
        hint = "A cutoff is written as in ndcg@10, a relevance level as in map-l2@100."
        raise UnknownNameError("measure", written, known, hint)
    kind = _KINDS[written]
    levels = {int(match[group]) for group in ("rel", "before", "after") if match[group]} or {1}
    level, k = min(levels), int(match["k"]) if match["k"] else None
    if len(levels) > 1 or level < 1:
        raise InputError(f"measure {text!r}: give one relevance level of 1 or more")
    if k is not None and k < 1:
        raise InputError(f"measure {text!r}: the cutoff must be 1 or more, not {k}")
    if kind == "precision" and k is None:
        raise InputError(f"measure {text!r}: precision needs a cutoff, as in precision@10")
    if kind == "ndcg" and level > 1:
        raise InputError(
            f"measure {text!r}: nDCG reads the grades themselves and takes no relevance level "
            "(ranx would zero the gains below it, trec_eval would not); ask for ndcg"
        )
    return Measure(kind, level, k)


def parse_measures(texts: Iterable[str]) -> list[Measure]:
    """Reads measures and groups of them, which commas or spaces may separate; each once.

    Args:
        texts: as for ``parse_measure``, or names in ``GROUPS``; nothing asks for
            ``DEFAULT_MEASURES``.

    Raises:
        InputError: as ``parse_measure``.
    """
    names = [name for text in texts for name in text.replace(",", " ").split()]
    wanted = [one for name in names for one in GROUPS.get(name.lower(), (name,))]
    return list(dict.fromkeys(map(parse_measure, wanted or DEFAULT_MEASURES)))
