"""Error models of simulated judges, and their notation, such as ``gap,bias=0.1``."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from rankprompt.errors import InputError, UnknownNameError

__all__ = ["ErrorModel", "parse_error_model"]

FITTED = "fitted:"
PERFECT = "perfect"
_NAMES = ("flip", "gap", "errors", "bias", "ties", "circle")
_LARGEST_GAP = 6  # in grades; no collection has more


@dataclass(frozen=True)
class ErrorModel:
    """How often, and in which way, an answer about two documents shown in an order is wrong.

    The first of these that applies decides the answer: position bias, ties, the circle, the grades.

    Attributes:
        errors: the probabilities that an answer about documents 1, 2, ... grades apart is reversed;
            the last one holds for all larger gaps.
        guesses: whether an answer about equal grades is a guess; otherwise it is a tie.
        bias: the rate, less a half, at which the document shown first is preferred, as a manifest's
            ``position_bias``: a share of twice this size of all answers depends on the position
            alone. Below 0, the document shown second is preferred.
        ties: the share of the other answers that are ties or unreadable.
        circle: the share of the other pairs that are decided by positions on a circle, where each
            document beats the half ahead of it: the same answer in either order, and intransitive.

    Raises:
        InputError: a share is not from 0 to 1, or the bias not from -0.5 to 0.5.
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
            raise InputError(f"an error model's errors, ties and circle are from 0 to 1: {self}")
        if not -0.5 <= self.bias <= 0.5:
            raise InputError(f"an error model's bias is from -0.5 to 0.5, not {self.bias}")

    @property
    def flip(self) -> float | None:
        """The probability of a wrong answer, as of ``flip=P``; None for another error model."""
        is_flip = self == ErrorModel(self.errors) and len(set(self.errors)) == 1
        return self.errors[0] if is_flip else None

    @property
    def strength(self) -> float | None:
        """The log-odds of a right answer for each grade apart, as of ``gap=S``.

        None for another error model.
        """
        error = self.errors[0]
        if self != ErrorModel(self.errors, guesses=True) or not 0 < error < 1:
            return None
        log_odds = math.log(1 / error - 1)
        is_gap = all(
            math.isclose(math.log(1 / error - 1), log_odds * gap, rel_tol=1e-2, abs_tol=1e-6)
            for gap, error in enumerate(self.errors, 1)
            if 0 < error < 1
        )
        return log_odds if is_gap and len(self.errors) > 1 else None

    @property
    def of_all_kinds(self) -> bool:
        """Whether this also defines the errors of pointwise, setwise and listwise answers."""
        return self.flip is not None or self.strength is not None

    def __str__(self) -> str:
        """The notation that ``parse_error_model`` reads."""
        settings = []
        if self.guesses or any(self.errors):
            errors = "/".join(f"{error:.4g}" for error in self.errors)
            settings.append(f"{'errors' if self.guesses else 'flip'}={errors}")
        settings += [
            f"{name}={getattr(self, name):.4g}"
            for name in ("bias", "ties", "circle")
            if getattr(self, name)
        ]
        return ",".join(settings) or PERFECT

    def answer(
        self,
        pair: tuple[str, str],
        gap: int,
        *,
        shown_first: bool,
        again: bool,
        draw: Callable[..., float],
    ) -> float:
        """Draws an answer about two documents: 1 where the first is preferred, 0, or 0.5 for a tie.

        Args:
            pair: the documents' ids, always in the same order.
            gap: the first document's grade less the second's.
            shown_first: whether the first document is shown first.
            again: whether this is the second answer about the pair, which has errors of its own
                except those of the circle.
            draw: gives a number in [0, 1) for a purpose and some ids, always the same for the same.
        """
        ids = (*pair, "again") if again else pair
        if self.bias and draw("bias", *ids) < 2 * abs(self.bias):
            return float(shown_first == (self.bias > 0))
        if self.ties and draw("tie", *ids) < self.ties:
            return 0.5
        if self.circle and draw("circle", *pair) < self.circle:
            first, second = (draw("place", document_id) for document_id in pair)
            return float((second - first) % 1 < 0.5)
        if not gap:
            return float(draw("guess", *ids) < 0.5) if self.guesses else 0.5
        error = self.errors[min(abs(gap), len(self.errors)) - 1]
        return float((gap > 0) != (error > 0 and draw("noise", *ids) < error))


def parse_error_model(text: str) -> ErrorModel:
    """Parses an error model: ``perfect``, or settings separated by commas.

    ``flip=P``: any answer about unequal grades is wrong with probability P (``flip=P1/P2/...``: for
    documents 1, 2, ... grades apart), and equal grades are a tie. ``errors=P1/P2/...``: likewise,
    but equal grades are guessed. ``gap`` or ``gap=S``: the errors fall with the gap, where S is the
    log-odds of a right answer for each grade (default 1: 27% are wrong at a gap of one grade, 12%
    at two). At most one of these three may be given. ``bias=B``, ``ties=T`` and ``circle=P`` are
    the attributes of ``ErrorModel``.

    Raises:
        InputError: the notation is wrong; the message says what is expected.

    Examples:
        >>> from rankprompt.judges.simulated.error_model import parse_error_model
        >>> model = parse_error_model("flip=0.2,bias=0.1")
        >>> model.errors, model.bias
        ((0.2,), 0.1)
        >>> str(model)
        'flip=0.2,bias=0.1'
    """
    if text == PERFECT:
        return ErrorModel()
    errors: tuple[float, ...] | None = None
    guesses = False
    shares: dict[str, float] = {}
    for setting in text.replace(" ", "").split(","):
        name, _, value = setting.partition("=")
        if name not in _NAMES:
            raise UnknownNameError("judge model", name or text, (PERFECT, *_NAMES, FITTED))
        sets_errors = name in ("flip", "gap", "errors")
        if name in shares or (sets_errors and errors is not None):
            raise InputError(
                f"`judge_model` {text}: give one of gap, flip and errors, and no setting twice"
            )
        if name == "gap":
            log_odds = _number(setting, value if "=" in setting else "1", -100, 100)
            gaps = range(1, _LARGEST_GAP + 1)
            errors = tuple(1 / (1 + math.exp(log_odds * gap)) for gap in gaps)
        elif sets_errors:
            errors = tuple(_number(setting, error, 0, 1) for error in value.split("/"))
        else:
            shares[name] = _number(setting, value, *((-0.5, 0.5) if name == "bias" else (0, 1)))
        guesses = guesses or name in ("gap", "errors")
    return ErrorModel(
        errors or (0.0,),
        guesses,
        bias=shares.get("bias", 0.0),
        ties=shares.get("ties", 0.0),
        circle=shares.get("circle", 0.0),
    )


def _number(setting: str, text: str, low: float, high: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        name = setting.partition("=")[0]
        raise InputError(
            f"`judge_model` {setting}: give a number from {low:g} to {high:g}, as in {name}=0.1"
        )
    return number
