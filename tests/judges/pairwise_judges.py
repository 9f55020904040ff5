"""Judges of pairs for the tests of this package, with prompts, documents and questions."""

from collections.abc import Callable, Sequence

from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.base import PairwiseAdapter
from rankprompt.judges.adapters.pairwise import Choice, Generation, Likelihood
from rankprompt.judges.guard import AnswerGuard
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.prompts.prompt import Prompt
from rankprompt.prompts.template import parse_template
from rankprompt.types import Document, PairwiseQuestion, Query
from tests.fakes import PROMPT, FakeModel

__all__ = ["ADAPTERS", "DOCUMENTS", "QUERY", "compare", "make_judge", "reverse"]

ADAPTERS: dict[str, PairwiseAdapter] = {
    "scoring": Choice(PROMPT),
    "generation": Generation(PROMPT),
    "likelihood": Likelihood(
        Prompt("l", "likelihood", parse_template("{passage} asks:"), parse_template(" {query}"), ())
    ),
}
QUERY = Query("q", "which one")
DOCUMENTS = [Document(f"d{number}", f"text {number}") for number in range(60)]


def make_judge(
    journal: Journal,
    model: FakeModel,
    mode: str = "scoring",
    *,
    order: str = "both",
    decide: str = "agreement",
    seed: int = 0,
    passage_tokens: int | None = None,
    keep_going: bool = False,
    on_judged: Callable[[int], None] = lambda _: None,
) -> PairwiseJudge:
    return PairwiseJudge(
        CachedModel(model, journal),
        ADAPTERS[mode],
        order=order,
        decide=decide,
        seed=seed,
        passage_tokens=passage_tokens,
        guard=AnswerGuard(keep_going=keep_going),
        on_judged=on_judged,
    )


def compare(first: str, second: str, query: Query = QUERY) -> PairwiseQuestion:
    """A question about two documents whose texts are their ids."""
    return PairwiseQuestion(query, Document(first, first), Document(second, second))


def reverse(questions: Sequence[PairwiseQuestion]) -> list[PairwiseQuestion]:
    """The questions with their two documents swapped."""
    return [PairwiseQuestion(query, second, first) for query, first, second in questions]
