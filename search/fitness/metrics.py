"""Metrics of a written answer against the right one: built in, or a function of the user."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, TypeAlias

from rankprompt.errors import PIP_LINES, InputError

__all__ = ["Metric", "exact_match", "exact_number", "last_number", "load_metric", "token_f1"]

log = logging.getLogger("rankprompt")

Score: TypeAlias = Callable[[str, str], float]
"""Takes the written and the right answer, and gives a number; higher is better."""

_NUMBER = re.compile(r"[-\u2212]?\d[\d,]*(?:\.\d+)?|[-\u2212]?\.\d+")


def last_number(text: str) -> str | None:
    """Gives a text's last number in plain form, or None without a number.

    Examples:
        >>> last_number("In all it is $1,200.50.")
        '1200.5'
    """
    numbers = _NUMBER.findall(text)
    if not numbers:
        return None
    plain = numbers[-1].replace(",", "").replace("\u2212", "-")
    number = Context(prec=len(plain)).normalize(Decimal(plain))
    return f"{number:f}" if number else "0"  # never "-0"


def exact_number(written: str, right: str) -> float:
    """1 where the last numbers are equal, else 0."""
    number = last_number(written)
    return float(number is not None and number == last_number(right))


def exact_match(written: str, right: str) -> float:
    """1 where the texts have the same words, ignoring case, else 0."""
    return float(_words(written) == _words(right))


def token_f1(written: str, right: str) -> float:
    """The harmonic mean of precision and recall over words, counted with repetitions."""
    words, right_words = Counter(_words(written)), Counter(_words(right))
    common = (words & right_words).total()
    total = words.total() + right_words.total()
    return 2 * common / total if common else float(words == right_words)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


class Metric(NamedTuple):
    """A metric; ``source`` is the text of its module, where that is the user's."""

    score: Score
    source: str = ""


_BUILT_IN: Mapping[str, Score] = {
    "exact-number": exact_number,
    "exact-match": exact_match,
    "token-f1": token_f1,
}


def load_metric(name: str) -> Metric:
    """Gives a built-in metric by its name, or the user's as ``module:function``.

    The user's module is imported, which runs its code, and the function is called in this process.

    Raises:
        InputError: the library or the module cannot be imported, or has no such function.
    """
    if name in _BUILT_IN:
        return Metric(_BUILT_IN[name])
    return Metric(_rouge_l()) if name == "rouge-l" else _import_metric(name)


def _rouge_l() -> Score:
    """The F-measure of the longest common subsequence (Lin 2004), by Google's rouge-score."""
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise InputError(
            f"the metric rouge-l needs the package rouge-score: {PIP_LINES['rouge']}"
        ) from error
    scorer = RougeScorer(["rougeL"])
    return lambda written, right: float(scorer.score(right, written)["rougeL"].fmeasure)


def _import_metric(name: str) -> Metric:
    module_name, _, function_name = name.partition(":")
    try:
        module = import_module(module_name)
        function = getattr(module, function_name)
        file = getattr(module, "__file__", None)
        source = Path(file).read_text("latin-1") if file else ""  # latin-1 decodes any bytes
    except Exception as error:  # the user's module may raise anything
        raise InputError(
            f"the metric {name} cannot be imported ({_one_line(error)}); the folder of its module "
            "must be on PYTHONPATH"
        ) from error
    log.info("metric %s: %s is imported and run by this process", name, file or module_name)

    def score(written: str, right: str) -> float:
        try:
            return float(function(written, right))
        except Exception as error:  # the user's function may raise anything
            raise InputError(
                f"the metric {name} failed ({_one_line(error)}) on {written[:60]!r}, right "
                f"{right[:60]!r}; it must take two texts and give a number"
            ) from error

    return Metric(score, source)


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
