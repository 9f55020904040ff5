"""Evaluation measures by name: every usual spelling leads to one canonical name."""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from rankprompt.errors import InputError, UnknownNameError
from rankprompt.eval.registry import KINDS

__all__ = ["DEFAULT_MEASURES", "GROUPS", "Measure", "parse_measure", "parse_measures"]

DEFAULT_MEASURES = ("ndcg@10", "map", "mrr", "precision@10", "recall@100")
"""The measures that are reported by default."""

GROUPS = {
    "beir": ("ndcg@10", "recall@100"),
    "t2ranking": ("mrr@10", "recall@50", "recall@1000", "ndcg@20", "ndcg@100"),
    "trec-dl": ("ndcg@10", "map-l2@100", "mrr-l2@10", "recall-l2@100"),
}
"""The measures that a collection's own papers report, by the name of the group."""


class Measure(NamedTuple):
    """A measure of a ranking; higher is better for all of them.

    Attributes:
        kind: a name in ``rankprompt.eval.registry.KINDS``, such as "ndcg".
        level: the lowest grade that counts as relevant.
        k: the cutoff, the number of top documents that are read; None reads all.
        persistence: of "rbp" only: the probability that a reader goes on to the next document.
    """

    kind: str
    level: int = 1
    k: int | None = None
    persistence: float | None = None

    @property
    def name(self) -> str:
        """The canonical name, such as ``map-l2@100`` or ``rbp.8``, without a level of 1."""
        persistence = f"{self.persistence:.6f}".strip("0") if self.persistence else ""
        level = f"-l{self.level}" if self.level > 1 else ""
        cutoff = f"@{self.k}" if self.k is not None else ""
        return f"{self.kind}{persistence}{level}{cutoff}"

    @property
    def graded(self) -> bool:
        """Whether the measure reads the grades; all others read "relevant or not"."""
        return self.kind == "ndcg"


# By every name, in lower case.
_KINDS = {alias: name for name, kind in KINDS.items() for alias in (name, *kind.aliases)}
_PERSISTENCE = 0.8  # ir_measures has the same default.

_SPELLING = re.compile(
    r"(?P<kind>[a-z]+(?:_[a-z]+)*)(?:\((?P<arguments>[^()]*)\))?"
    r"(?P<suffixes>(?:-[lp]\d+|[@_.]-?\d+)*)"
)
_SUFFIX = re.compile(r"(-[lp]|[@_.])(-?\d+)")
_ARGUMENTS = {"rel": "level", "cutoff": "cutoff", "p": "persistence"}
_NUMBERS = {"level": r"\d{1,9}", "cutoff": r"-?\d{1,9}", "persistence": r"0?\.\d{1,6}"}


def parse_measure(text: str) -> Measure:
    """Parses a measure in any of the usual spellings, in upper or lower case.

    ``ndcg@10``, ``nDCG@10`` and ``ndcg_cut_10`` are one measure, as are ``mrr-l2@10``,
    ``RR(rel=2)@10`` and ranx's ``mrr@10-l2``, or ``rbp.95``, ``rbp-p95`` and ``RBP(p=0.95)``.

    >>> parse_measure("AP(rel=2)@100").name
    'map-l2@100'

    Raises:
        UnknownNameError: there is no such measure; the message offers the nearest name.
        InputError: the measure has no such cutoff, level or persistence.
    """
    match = _SPELLING.fullmatch(text.strip().lower())
    name = match["kind"] if match else text
    if match is None or name not in _KINDS:
        hint = (
            "A cutoff is written as in ndcg@10, a relevance level as in map-l2@100, a persistence "
            "as in rbp.8."
        )
        raise UnknownNameError("measure", name, (*KINDS, *GROUPS), hint)
    kind = _KINDS[name]
    try:
        return _build(kind, _parameters(kind, match["arguments"], match["suffixes"]))
    except InputError as error:
        raise InputError(f"measure {text!r}: {error}") from None


def parse_measures(texts: Iterable[str]) -> list[Measure]:
    """Parses measures and groups of measures, and drops duplicates.

    Args:
        texts: each as for ``parse_measure``, or a name in ``GROUPS``, or several of these separated
            by commas or spaces; without any, ``DEFAULT_MEASURES`` are parsed.

    Raises:
        InputError: as ``parse_measure``.
    """
    # Commas and spaces between parentheses separate nothing: RBP(rel=2, p=0.8).
    names = [name for text in texts for name in re.findall(r"(?:\([^()]*\)|[^\s,])+", text)]
    expanded = [member for name in names for member in GROUPS.get(name.lower(), (name,))]
    return list(dict.fromkeys(map(parse_measure, expanded or DEFAULT_MEASURES)))


def _parameters(kind: str, arguments: str | None, suffixes: str) -> dict[str, str]:
    """The level, cutoff and persistence that are written, in any notation, each once."""
    written: defaultdict[str, set[str]] = defaultdict(set)
    for argument in arguments.split(",") if arguments else ():
        name, _, value = (text.strip() for text in argument.partition("="))
        if name not in _ARGUMENTS:
            raise InputError(f"unknown parameter {name!r}; known: {', '.join(_ARGUMENTS)}")
        written[_ARGUMENTS[name]].add(value)
    for sign, value in _SUFFIX.findall(suffixes):
        if sign == "-p" or (sign == "." and kind == "rbp"):
            written["persistence"].add(f".{value}")
        else:
            written["level" if sign == "-l" else "cutoff"].add(value)
    parameters: dict[str, str] = {}
    for name, values in written.items():
        noun = "relevance level" if name == "level" else name
        if len(values) > 1:
            raise InputError(f"give one {noun}, not {' and '.join(sorted(values))}")
        (parameters[name],) = values
        if not re.fullmatch(_NUMBERS[name], parameters[name]):
            raise InputError(f"{parameters[name]!r} is not a valid {noun}")
    return parameters


def _build(kind: str, parameters: dict[str, str]) -> Measure:
    level = int(parameters.get("level", 1))
    k = int(parameters["cutoff"]) if "cutoff" in parameters else None
    persistence = float(parameters["persistence"]) if "persistence" in parameters else None
    hint = f"; its persistence is written as in rbp.{k}" if kind == "rbp" else ""
    for wrong, problem in (
        (level < 1, "give a relevance level of 1 or more"),
        (k is not None and k < 1, f"the cutoff must be 1 or more, not {k}"),
        (k is None and KINDS[kind].cutoff == "required", f"{kind} needs a cutoff, as in {kind}@10"),
        (k is not None and KINDS[kind].cutoff == "none", f"{kind} takes no cutoff{hint}"),
        (
            kind == "ndcg" and level > 1,
            "nDCG reads the grades themselves and takes no relevance level "
            "(ranx would zero the gains below it, trec_eval would not); ask for ndcg",
        ),
        (
            kind == "judged" and level > 1,
            "a document is judged or not, whatever its grade; ask for judged@10",
        ),
        (persistence is not None and kind != "rbp", "only rbp takes a persistence"),
        (persistence == 0, "the persistence must be above 0 and below 1"),
    ):
        if wrong:
            raise InputError(problem)
    return Measure(kind, level, k, persistence or (_PERSISTENCE if kind == "rbp" else None))
