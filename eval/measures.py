"""Measures by name: every usual spelling leads to one canonical name."""

import re
from collections import defaultdict
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
        kind: "ndcg", "map", "mrr", "precision", "recall", "rbp", "bpref" or "judged".
        level: the lowest grade that counts as relevant.
        k: how many documents from the top are looked at; None for all of them.
        persistence: of "rbp" alone: how likely a reader goes on to the next document.
    """

    kind: str
    level: int = 1
    k: int | None = None
    persistence: float | None = None

    @property
    def name(self) -> str:
        """The canonical name, such as ``map-l2@100`` or ``rbp.8``.

        Level 1 and a missing cutoff go unsaid.
        """
        persistence = f"{self.persistence:.6f}".strip("0") if self.persistence else ""
        level = f"-l{self.level}" if self.level > 1 else ""
        cutoff = f"@{self.k}" if self.k is not None else ""
        return f"{self.kind}{persistence}{level}{cutoff}"

    @property
    def graded(self) -> bool:
        """Whether it reads the grades themselves; all others read "relevant or not"."""
        return self.kind == "ndcg"


# The names of trec_eval, ir_measures and ranx, in lower case, by ranx's where it has the measure.
_ALIASES = {
    "ndcg": ("ndcg_cut",),
    "map": ("ap", "map_cut"),
    "mrr": ("rr", "recip_rank"),
    "precision": ("p",),
    "recall": ("r",),
    "rbp": (),
    "bpref": (),
    "judged": (),
}
_KINDS = {alias: kind for kind, aliases in _ALIASES.items() for alias in (kind, *aliases)}
_NEED_CUTOFF, _WITHOUT_CUTOFF = ("precision", "judged"), ("rbp", "bpref")
# Of ir_measures, where RBP without one is this, too.
_PERSISTENCE = 0.8

_SPELLING = re.compile(
    r"(?P<kind>[a-z]+(?:_[a-z]+)*)(?:\((?P<inside>[^()]*)\))?(?P<after>(?:-[lp]\d+|[@_.]-?\d+)*)"
)
_AFTER = re.compile(r"(-[lp]|[@_.])(-?\d+)")
_INSIDE = {"rel": "level", "cutoff": "cutoff", "p": "persistence"}
_NUMBERS = {"level": r"\d{1,9}", "cutoff": r"-?\d{1,9}", "persistence": r"0?\.\d{1,6}"}


def parse_measure(text: str) -> Measure:
    """Reads a measure in any of the field's usual spellings, in either case.

    ``ndcg@10``, ``nDCG@10`` and ``ndcg_cut_10`` are one measure, as are ``mrr-l2@10``,
    ``RR(rel=2)@10`` and ranx's ``mrr@10-l2``, or ``rbp.95``, ``rbp-p95`` and ``RBP(p=0.95)``.

    Args:
        text: what the user wrote.

    Raises:
        UnknownNameError: there is no such measure; the nearest is offered.
        InputError: the cutoff, level or persistence makes no sense for the measure.
    """
    match = _SPELLING.fullmatch(text.strip().lower())
    written = match["kind"] if match else text
    if match is None or written not in _KINDS:
        known = (*_ALIASES, *GROUPS)
        hint = (
            "A cutoff is written as in ndcg@10, a relevance level as in map-l2@100, a persistence "
            "as in rbp.8."
        )
        raise UnknownNameError("measure", written, known, hint)
    kind = _KINDS[written]
    try:
        measure = _build(kind, _settings(kind, match["inside"], match["after"]))
    except InputError as error:
        raise InputError(f"measure {text!r}: {error}") from None
    return measure


def parse_measures(texts: Iterable[str]) -> list[Measure]:
    """Reads measures and groups of them, which commas or spaces may separate; each once.

    Args:
        texts: as for ``parse_measure``, or names in ``GROUPS``; nothing asks for
            ``DEFAULT_MEASURES``.

    Raises:
        InputError: as ``parse_measure``.
    """
    # Commas and spaces between parentheses separate nothing: RBP(rel=2, p=0.8).
    names = [name for text in texts for name in re.findall(r"(?:\([^()]*\)|[^\s,])+", text)]
    wanted = [one for name in names for one in GROUPS.get(name.lower(), (name,))]
    return list(dict.fromkeys(map(parse_measure, wanted or DEFAULT_MEASURES)))


def _settings(kind: str, inside: str | None, after: str) -> dict[str, str]:
    """What is written beside the measure's name, in any notation, each thing once."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for part in inside.split(",") if inside else ():
        name, _, value = (one.strip() for one in part.partition("="))
        if name not in _INSIDE:
            raise InputError(f"{name!r} is no setting here; there are {', '.join(_INSIDE)}")
        found[_INSIDE[name]].add(value)
    for sign, value in _AFTER.findall(after):
        if sign == "-p" or (sign == "." and kind == "rbp"):
            found["persistence"].add(f".{value}")
        else:
            found["level" if sign == "-l" else "cutoff"].add(value)
    for name, values in found.items():
        what = "relevance level" if name == "level" else name
        if len(values) > 1:
            raise InputError(f"give one {what}, not {' and '.join(sorted(values))}")
        if not re.fullmatch(_NUMBERS[name], value := next(iter(values))):
            raise InputError(f"{value!r} is no {what}")
    return {name: next(iter(values)) for name, values in found.items()}


def _build(kind: str, settings: dict[str, str]) -> Measure:
    level, k = int(settings.get("level", 1)), settings.get("cutoff")
    if level < 1:
        raise InputError("give a relevance level of 1 or more")
    if k is not None and int(k) < 1:
        raise InputError(f"the cutoff must be 1 or more, not {k}")
    if k is None and kind in _NEED_CUTOFF:
        raise InputError(f"{kind} needs a cutoff, as in {kind}@10")
    if k is not None and kind in _WITHOUT_CUTOFF:
        hint = f"; its persistence is written as in rbp.{k}" if kind == "rbp" else ""
        raise InputError(f"{kind} takes no cutoff{hint}")
    if kind == "ndcg" and level > 1:
        raise InputError(
            "nDCG reads the grades themselves and takes no relevance level "
            "(ranx would zero the gains below it, trec_eval would not); ask for ndcg"
        )
    if kind == "judged" and level > 1:
        raise InputError("a document is judged or not, whatever its grade; ask for judged@10")
    persistence = float(settings["persistence"]) if "persistence" in settings else None
    if persistence is not None and kind != "rbp":
        raise InputError("a persistence is for rbp alone")
    if persistence == 0:
        raise InputError("the persistence must be above 0 and below 1")
    if kind == "rbp":
        persistence = persistence or _PERSISTENCE
    return Measure(kind, level, int(k) if k else None, persistence)
