"""How a simulated judge errs: the models behind ``--judge-model``, and their spelling."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rankprompt.errors import InputError, UnknownNameError

__all__ = ["ErrorModel", "parse_error_model"]

FITTED = "fitted:"
PERFECT = "perfect"
_NAMES = ("flip", "gap", "errors", "bias", "ties", "circle")
# More grades apart than any collection has.
_GRADES = 7


@dataclass(frozen=True)
class ErrorModel:
    """How often an answer about two documents, shown in an order, is wrong; and in which way.

    The first of these that applies makes the answer: position, tie, circle, grades.

    Attributes:
        errors: the probabilities that an answer about grades 1, 2, ... apart is the wrong way
            round; the last one holds for all gaps beyond.
        guesses: whether an answer about equal grades is a guess; else it is a tie.
        bias: how much more often than a half the document shown first is preferred, as in a
            manifest's ``position_bias``: twice as many answers heed nothing but the position.
            Below 0, it is the one shown second.
        ties: the share of the other answers that are ties, or cannot be read.
        circle: the share of the other pairs that are decided by places on a circle, where each
            document beats the half ahead of it: always the same, in either order, and intransitive.
    """

    errors: tuple[float, ...] = (0.0,)
    guesses: bool = False
    bias: float = 0.0
    ties: float = 0.0
    circle: float = 0.0

    def __post_init__(self) -> None:
        if not self.errors or not all(
            0 <= share <= 1 for share in (*self.errors, self.ties, self.circle)
        ):
            raise InputError(f"a judge's errors, ties and circle are from 0 to 1: {self}")
        if not -0.5 <= self.bias <= 0.5:
            raise InputError(f"a judge's bias is from -0.5 to 0.5, not {self.bias}")

    @property
    def flip(self) -> float | None:
        """The share of wrong answers, where the judge errs in no other way."""
        plain = self == ErrorModel(self.errors) and len(set(self.errors)) == 1
        return self.errors[0] if plain else None

    @property
    def strength(self) -> float | None:
        """The logarithm of the odds of a right answer for each grade apart, as of ``gap=S``.

        None where the judge errs in another way.
        """
        error = self.errors[0]
        if self != ErrorModel(self.errors, guesses=True) or not 0 < error < 1:
            return None
        odds = math.log(1 / error - 1)
        same = all(
            math.isclose(math.log(1 / one - 1), odds * gap, rel_tol=1e-2, abs_tol=1e-6)
            for gap, one in enumerate(self.errors, 1)
            if 0 < one < 1
        )
        return odds if same and len(self.errors) > 1 else None

    @property
    def of_all_kinds(self) -> bool:
        """Whether this also says how answers err that are not about two documents."""
        return self.flip is not None or self.strength is not None

    def __str__(self) -> str:
        """The spelling that ``parse_error_model`` reads."""
        parts = []
        if self.guesses or any(self.errors):
            shares = "/".join(f"{one:.4g}" for one in self.errors)
            parts.append(f"{'errors' if self.guesses else 'flip'}={shares}")
        parts += [
            f"{name}={getattr(self, name):.4g}"
            for name in ("bias", "ties", "circle")
            if getattr(self, name)
        ]
        return ",".join(parts) or PERFECT

    def answer(
        self,
        pair: tuple[str, str],
        gap: int,
        *,
        shown_first: bool,
        again: bool,
        draw: Callable[..., float],
    ) -> float:
        """Says whether the first of two documents is preferred: 1, 0, or 0.5 for a tie.

        Args:
            pair: their ids, always in the same order.
            gap: how far the first one's grade is above the other's.
            shown_first: whether the first one is shown first.
            again: whether this answer about the pair is another than the one without; its errors
                are others, but for the circle's.
            draw: a number in [0, 1) for a purpose and some ids, the same for the same.
        """
        asked = (*pair, "again") if again else pair
        if self.bias and draw("bias", *asked) < 2 * abs(self.bias):
            return float(shown_first == (self.bias > 0))
        if self.ties and draw("tie", *asked) < self.ties:
            return 0.5
        if self.circle and draw("circle", *pair) < self.circle:
            one, other = (draw("place", name) for name in pair)
            return float((other - one) % 1 < 0.5)
        if not gap:
            return float(draw("guess", *asked) < 0.5) if self.guesses else 0.5
        error = self.errors[min(abs(gap), len(self.errors)) - 1]
        return float((gap > 0) != (error > 0 and draw("noise", *asked) < error))


def parse_error_model(text: str) -> ErrorModel:
    """Reads a judge model: ``perfect``, or settings with commas between them.

    ``flip=P``: any answer about unequal grades is wrong with probability P (``flip=P1/P2/...``:
    about grades 1, 2, ... apart), and equal grades are a tie. ``errors=P1/P2/...``: likewise, but
    equal grades are guessed. ``gap`` or ``gap=S``: errors that fall with the gap, S being the
    logarithm of the odds of a right answer for each grade (1 if left out: 27% are wrong at one
    grade, 12% at two). Of these three, one at the most. ``bias=B``, ``ties=T`` and ``circle=P`` as
    in ``ErrorModel``.

    Raises:
        InputError: not such a spelling; says what would be.
    """
    if text == PERFECT:
        return ErrorModel()
    found: dict[str, Any] = {}
    for part in text.replace(" ", "").split(","):
        name, _, value = part.partition("=")
        if name not in _NAMES:
            raise UnknownNameError("judge model", name or text, (PERFECT, *_NAMES, FITTED))
        kind = "errors" if name in ("gap", "flip") else name
        if kind in found:
            raise InputError(f"--judge-model {text}: give one of gap, flip and errors, and no "
                             "setting twice")  # fmt: skip
        if part == "gap":
            value = "1"
        if name == "gap":
            odds = _number(part, value, -100, 100)
            found[kind] = tuple(1 / (1 + math.exp(odds * gap)) for gap in range(1, _GRADES))
        elif kind == "errors":
            found[kind] = tuple(_number(part, one, 0, 1) for one in value.split("/"))
        else:
            found[kind] = _number(part, value, *((-0.5, 0.5) if name == "bias" else (0, 1)))
        if name in ("gap", "errors"):
            found["guesses"] = True
    return ErrorModel(**found)


def _number(part: str, value: str, low: float, high: float) -> float:
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not low <= found <= high:
        name = part.partition("=")[0]
        raise InputError(
            f"--judge-model {part}: give a number from {low:g} to {high:g}, as in {name}=0.1"
        )
    return found
