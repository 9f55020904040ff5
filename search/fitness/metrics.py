"""How good what a model wrote is beside the right answer: built in, or a function that is named."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from rankprompt.errors import InputError

__all__ = [
    "Metric",
    "exact_match",
    "exact_number",
    "last_number",
    "load_metric",
    "token_f1",
]

log = logging.getLogger("rankprompt")

_NUMBER = re.compile(r"[-\u2212]?\d[\d,]*(?:\.\d+)?|[-\u2212]?\.\d+")


def last_number(text: str) -> str | None:
    """The last number of a text in plain form ("1,200.50" is "1200.5"); None without one."""
    found = _NUMBER.findall(text)
    if not found:
        return None
    plain = found[-1].replace(",", "").replace("\u2212", "-")
    whole, _, part = plain.partition(".")
    part = part.rstrip("0")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    digits = digits.lstrip("0") or "0"
    return f"{sign if digits != '0' or part else ''}{digits}{'.' + part if part else ''}"


def exact_number(written: str, right: str) -> float:
    """1 where the last numbers are the same, else 0."""
    found = last_number(written)
    return float(found is not None and found == last_number(right))


def exact_match(written: str, right: str) -> float:
    """1 where the texts' words are the same, whatever their case, else 0."""
    return float(_words(written) == _words(right))


def token_f1(written: str, right: str) -> float:
    """The harmonic mean of precision and recall over words, each as often as it stands there."""
    one, other = Counter(_words(written)), Counter(_words(right))
    same = (one & other).total()
    return 2 * same / (one.total() + other.total()) if same else float(one == other)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


class Metric(NamedTuple):
    """A metric: what was written and the right answer in, a number out, higher is better.

    ``source`` is the text of the module that it comes from, where that is the user's.
    """

    score: Callable[[str, str], float]
    source: str = ""


_BUILT_IN: Mapping[str, Callable[[str, str], float]] = {
    "exact-number": exact_number,
    "exact-match": exact_match,
    "token-f1": token_f1,
}


def load_metric(name: str) -> Metric:
    """A built-in metric by its name, or the user's as ``module:function``.

    The user's module is imported, which runs it, and the function is called in this process.

    Raises:
        InputError: the library or the module cannot be imported, or has no such function.
    """
    if name in _BUILT_IN:
        return Metric(_BUILT_IN[name])
    return Metric(_rouge_l()) if name == "rouge-l" else _imported(name)


def _rouge_l() -> Callable[[str, str], float]:
    """F of the longest common subsequence of words (Lin 2004), from Google's rouge-score."""
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise InputError(
            "the metric rouge-l needs the package rouge-score: pip install 'rankprompt[rouge]'"
        ) from error
    scorer = RougeScorer(["rougeL"])

    def rouge_l(written: str, right: str) -> float:
        return float(scorer.score(right, written)["rougeL"].fmeasure)

    return rouge_l


def _imported(name: str) -> Metric:
    module_name, _, function_name = name.partition(":")
    try:
        module = import_module(module_name)
        function = getattr(module, function_name)
        file = getattr(module, "__file__", None)
        source = Path(file).read_text("latin-1") if file else ""  # that takes any bytes
    except Exception as error:  # whatever the user's module raises
        raise InputError(
            f"the metric {name} cannot be imported ({_one_line(error)}); the folder of its module "
            "must be on PYTHONPATH"
        ) from error
    log.info("metric %s: %s is imported and run by this process", name, file or module_name)

    def score(written: str, right: str) -> float:
        try:
            return float(function(written, right))
        except Exception as error:  # whatever the user's function raises
            raise InputError(
                f"the metric {name} failed ({_one_line(error)}) on {written[:60]!r}, right "
                f"{right[:60]!r}; it must take two texts and give a number"
            ) from error

    return Metric(score, source)


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
