"""The price of questions: the prompts and tokens that a judge would send to a model."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from heapq import nsmallest
from typing import NamedTuple, TypeAlias, cast

from rankprompt.journal.cached_model import CachedModel, Reply
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.registry import make_judge
from rankprompt.llm import AsyncLanguageModel, LanguageModel, Request
from rankprompt.pipeline.job import RerankJob
from rankprompt.prompts.prompt import Prompt
from rankprompt.rankers.driver import drive
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import PairwiseQuestion, PointwiseQuestion, Question, QuestionKind

__all__ = ["AnyModel", "Price", "PriceMeter"]

AnyModel: TypeAlias = LanguageModel | AsyncLanguageModel

_SAMPLE = 16  # questions of a query and a method, whose prompts stand for all of them


class Price(NamedTuple):
    """Prompts, their tokens with the longest answers that they allow, and the answers' tokens.

    Tokens are None where there is no model to count them.
    """

    prompts: int
    tokens: int | None
    written: int | None


class PriceMeter:
    """Renders questions of a kind as a job's judge does, and counts their prompts and tokens.

    Args:
        job: a validated job.
        kind: of the questions.
        prompt: puts them; None for an oracle, whose plan counts the prompts that a prompt with all
            the passages would take.
        model: None where tokens are not to be counted.

    Attributes:
        ordered: whether the order in which two passages are shown can matter.
    """

    def __init__(
        self, job: RerankJob, kind: QuestionKind, prompt: Prompt | None, model: AnyModel | None
    ) -> None:
        judging = job.config.judge
        self.model, self.kind, self.prompt = model, kind, prompt
        self._pairs = kind is PairwiseQuestion
        adapter = pairwise_adapter(prompt, judging.mode) if prompt and self._pairs else None
        self.ordered = adapter is None or adapter.ordered
        # A passage by itself has few prompts: each is counted.
        self._exact = not self.ordered or kind is PointwiseQuestion
        self._seed = job.config.seed
        # Of a question; or of a passage, where the passages of a pair are shown one at a time.
        self._prompts = 1 + (judging.order != "single") if self._pairs and self.ordered else 1
        self._lengths: dict[Request, int] = {}
        if prompt and model:
            if adapter and self.ordered:
                self._prompts *= len(adapter.requests("", ("", "")))
            # The judge renders; nothing is asked of the model.
            self._judge = make_judge(
                kind,
                CachedModel(cast(LanguageModel, model), Journal(None)),
                prompt,
                mode=judging.mode,
                # What "lazy" saves depends on the answers, so its price is an upper bound.
                order="both" if judging.order == "lazy" else judging.order,
                seed=self._seed,
                passage_tokens=judging.passage_tokens,
            )

    def parts(self, question: Question) -> tuple[Hashable, ...]:
        """The texts that a question shows and need not show again: all of them, or each alone."""
        texts = tuple(document.text for document in question.documents)
        if not self._pairs:
            return (texts,)
        return (min(texts, texts[::-1]),) if self.ordered else texts

    def requests(self, questions: Sequence[Question]) -> list[Request]:
        """The distinct requests about some questions."""
        distinct: dict[Request, None] = {}

        def record(requests: Sequence[Request]) -> list[Reply]:
            distinct.update(dict.fromkeys(requests))
            return [Reply(None, False)] * len(requests)

        drive(self._judge.ask(questions), record)  # type: ignore[arg-type]
        return list(distinct)

    def tokens(self, requests: Iterable[Request]) -> int:
        """The tokens of requests; each request is counted once until ``forget`` is called."""
        total = 0
        for request in requests:
            if request not in self._lengths:
                self._lengths[request] = self.model.length(request) if self.model else 0
            total += self._lengths[request]
        return total

    def forget(self) -> None:
        """Forgets the requests counted so far: another query has others."""
        self._lengths = {}

    def price(self, asked: Mapping[Hashable, Question]) -> Price:
        """The price of one query's questions.

        Args:
            asked: by each of ``parts``, a question that shows it.

        Returns:
            Exact where passages are shown one at a time, and where questions are few; of many
            questions, a seeded sample stands for all.
        """
        prompts = len(asked) * self._prompts
        if not self.model:
            return Price(prompts, None, None)
        questions: Sequence[Question] = list(asked.values())
        sampled = not self._exact and len(questions) > _SAMPLE
        if sampled:
            questions = nsmallest(_SAMPLE, questions, key=self._draw)
        requests = self.requests(questions)
        tokens, written = self.tokens(requests), sum(request.max_tokens for request in requests)
        if not sampled:
            return Price(len(requests), tokens, written)
        share = prompts / len(requests)
        return Price(prompts, round(share * tokens), round(share * written))

    def _draw(self, question: Question) -> float:
        names = sorted(document.id for document in question.documents)
        return uniform(self._seed, "sample", question.query.id, *names)
