"""Ranking: which of two passages is more relevant to a query, asked in both orders.

The paper evolves prompts for classification, generation and mathematics; evolving a ranking prompt
is ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import NamedTuple

from rankprompt.datasets.candidates import read_candidates
from rankprompt.errors import InputError
from rankprompt.eval import Scores, compare, parse_measure, score
from rankprompt.files import read_qrels
from rankprompt.journal.cached_model import CachedModel
from rankprompt.judges.adapters.base import PairwiseAdapter
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.first_stage_prior import FirstStagePrior
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.judges.registry import serves
from rankprompt.llm.base import LanguageModel
from rankprompt.prompts.prompt import Prompt, Template, load_prompt
from rankprompt.rankers import method
from rankprompt.rankers.reranking import as_run, rerank
from rankprompt.rankers.seeded_random import uniform
from rankprompt.search.config import SearchConfig
from rankprompt.search.fitness.base import (
    Measures,
    digest,
    piecewise_reward,
    shared_prefix,
    take_share,
)
from rankprompt.search.fitness.triples import Triple, make_triples
from rankprompt.search.genome import Segment, segment
from rankprompt.search.prompt_file import format_prompt
from rankprompt.search.tasks import RankingTask
from rankprompt.types import Candidates, PairwiseQuestion, Qrels

__all__ = ["RankingProblem", "markers"]

NDCG = "ndcg@10"


def markers(template: Template) -> tuple[str, ...]:
    """Gives the texts to freeze: the line up to each passage or label, and the last line."""
    parts = template.parts
    names = [name for name in dict.fromkeys(parts[1::2]) if name != "query"]
    last_uses = [len(parts) - 1 - parts[::-1].index(name) for name in names]
    before = [parts[index - 1] for index in last_uses]
    end = parts[-1].rstrip()
    frozen = [text[max(text.rfind("\n"), 0) :] for text in before]
    return (*frozen, end[max(end.rfind("\n"), 0) :] + parts[-1][len(end) :])


class _ShownTriple(NamedTuple):
    """The texts of a triple in the order shown, and the index of the better passage."""

    query: str
    passages: tuple[str, str]
    right: int


class RankingProblem:
    """Scores ranking prompts by triples, and calibrates them by nDCG@10 of a real reranking.

    The fitness is the mean piecewise reward on P(right passage) - P(other), over the triples and
    both orders of their passages; ``accuracy`` is the share that is correct. A prompt that reads
    one passage at a time has no order, so each triple is asked once. Calibration and test rerank
    the first stage's top as ``rerank --prompt`` does, with the prompt's own prior, and measure it
    against the qrels. The splits are disjoint by query.

    Args:
        task: names the collection and the seed prompt.
        config: its seed draws the triples (the task's own seed splits the queries), and it holds
            the constants of the reward.

    Attributes:
        prompt: the seed prompt's file.
        splits: candidates by split.
        labels: the number of grades of the qrels that each split uses.
        about: digests of the queries and triples.

    Raises:
        InputError: the data cannot be read or are too few, or the prompt compares no passages.
    """

    def __init__(self, task: RankingTask, config: SearchConfig) -> None:
        self._task, self._config = task, config
        self.prompt = load_prompt(task.prompt)
        if not serves(self.prompt, PairwiseQuestion):
            raise InputError(
                f"{task.prompt}: a {self.prompt.kind} compares no two passages, so labelled pairs "
                "cannot score it; name a prompt of kind choice, contrast or likelihood"
            )
        self._ordered = pairwise_adapter(self.prompt, "scoring").ordered
        self._qrels = read_qrels(task.qrels)
        _, candidates, _ = read_candidates(
            task.run, task.queries, task.docs, depth=task.depth, skip_missing=True
        )
        self.splits = _split(candidates, self._qrels, task)
        self._triples = {
            name: make_triples(
                split, self._qrels, gap=task.gap, number=task.triples, seed=config.seed
            )
            for name, split in self.splits.items()
        }
        for name, triples in self._triples.items():
            if not triples:
                raise InputError(
                    f"no two passages of the {name} split's queries, in the first {task.depth} of "
                    f"{task.run}, are {task.gap} grades apart; lower gap, or raise depth"
                )
        judged = {
            name: sum(len(self._qrels[one.query.id]) for one in split)
            for name, split in self.splits.items()
        }
        graded = {
            (triple.query.id, document.id)
            for triple in self._triples["search"]
            for document in (triple.better, triple.worse)
        }
        self.labels: Mapping[str, int] = {**judged, "search": len(graded)}
        self.about: Mapping[str, object] = {
            "queries": {
                name: digest([one.query.id for one in split]) for name, split in self.splits.items()
            },
            "triples": {
                name: digest([f"{triple}" for triple in triples])
                for name, triples in self._triples.items()
            },
        }
        self._tested: dict[Template, Scores] = {}

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The seed prompt."""
        return segment(self.prompt.text, self._task.frozen or markers(self.prompt.text))

    def check_model(self, model: LanguageModel) -> None:
        """Any model can take the requests of a ranking prompt."""

    def fitness(
        self, model: CachedModel, prompts: Sequence[Template], *, share: float = 1.0
    ) -> list[float]:
        """The task's metric on the search split's triples, or on a share of them."""
        triples = self._triples["search"]
        shared = take_share(triples, [triple.query.id for triple in triples], share)
        return [one[self._task.metric] for one in self._score_triples(model, prompts, shared)]

    def measures(
        self, model: CachedModel, prompts: Sequence[Template], split: str
    ) -> list[Measures]:
        """Gives nDCG@10 of a reranking (except on search), and accuracy and reward on triples."""
        on_triples = self._score_triples(model, prompts, self._triples[split])
        if split == "search":
            return on_triples
        measured: list[Measures] = []
        for prompt, measures in zip(prompts, on_triples, strict=True):
            scores = self._score_reranking(model, prompt, self.splits[split])
            if split == "test":
                self._tested[prompt] = scores
            measured.append({NDCG: scores.means[NDCG], **measures})
        return measured

    def _score_triples(
        self, model: CachedModel, prompts: Sequence[Template], triples: Sequence[Triple]
    ) -> list[Measures]:
        shown = [order for triple in triples for order in self._orders(model.model, triple)]
        adapters = {prompt: self._adapter(prompt) for prompt in prompts}
        questions = [(prompt, order) for prompt in prompts for order in shown]
        # The first passage is shared by few triples, so only the prompt's start is marked.
        requests = [
            [
                request._replace(breaks=(shared_prefix(prompt),))
                for request in adapters[prompt].requests(order.query, order.passages)
            ]
            for prompt, order in questions
        ]
        replies = iter(model.answer([request for some in requests for request in some]))
        rewards = []
        for (prompt, order), some in zip(questions, requests, strict=True):
            # Without a budget, every request is answered.
            answers = [answer for _ in some if (answer := next(replies).answer)]
            first = adapters[prompt].parse(answers, 2).answer
            probabilities = None if first is None else (first, 1 - first)
            rewards.append(piecewise_reward(probabilities, order.right, self._config))
        by_prompt = [
            rewards[start : start + len(shown)] for start in range(0, len(rewards), len(shown))
        ]
        return [
            {"accuracy": fmean(reward > 0 for reward in some), "reward": fmean(some)}
            for some in by_prompt
        ]

    def _orders(self, model: LanguageModel, triple: Triple) -> list[_ShownTriple]:
        better, worse = (
            model.truncate(document.text, self._task.passage_tokens)
            for document in (triple.better, triple.worse)
        )
        orders = [
            _ShownTriple(triple.query.text, (better, worse), 0),
            _ShownTriple(triple.query.text, (worse, better), 1),
        ]
        return orders if self._ordered else orders[:1]

    def _with_text(self, template: Template) -> Prompt:
        return replace(self.prompt, text=template)

    def _adapter(self, template: Template) -> PairwiseAdapter:
        return pairwise_adapter(self._with_text(template), "scoring")

    def _score_reranking(
        self, model: CachedModel, template: Template, candidates: Sequence[Candidates]
    ) -> Scores:
        task = self._task
        judge = PairwiseJudge(
            model,
            self._adapter(template),
            decide="agreement" if self.prompt.kind == "choice" else "soft",
            passage_tokens=task.passage_tokens,
        )
        ranker = method(task.method).ranker(task.k, task.k, False)
        prior = FirstStagePrior(candidates, self.prompt.prior)
        rankings, _ = rerank(candidates, judge, ranker, adjust=prior.adjust)
        run = as_run(rankings)
        return score(run, {query: self._qrels[query] for query in run}, [parse_measure(NDCG)])

    def comparison(self, seed: Template, winner: Template) -> Mapping[str, object] | None:
        """nDCG@10 on the test split, query by query."""
        scores = {"seed": self._tested[seed], "winner": self._tested[winner]}
        (comparison,) = compare(scores, "seed", [NDCG])
        return {**vars(comparison), "interval": comparison.interval and vars(comparison.interval)}

    def format_file(self, prompt: Template) -> str:
        """Writes a prompt file that ``rerank --prompt`` takes."""
        evolved = replace(self._with_text(prompt), description="Evolved by pruning tokens")
        return format_prompt(evolved, source=f"{self.prompt.name}, pruned (arXiv 2506.17930)")


def _split(
    candidates: Sequence[Candidates], qrels: Qrels, task: RankingTask
) -> dict[str, list[Candidates]]:
    """Splits the queries that have grades; the task's seed draws them."""
    judged = [one for one in candidates if one.query.id in qrels]
    sizes = task.splits
    needed = sizes.search + sizes.calibration + max(1, sizes.test)
    if len(judged) < needed:
        raise InputError(
            f"too few queries: {needed} for the three splits, and {len(judged)} of {task.run} "
            f"have grades in {task.qrels}"
        )
    drawn = sorted(judged, key=lambda one: uniform(sizes.seed, "query", one.query.id))
    rest = drawn[sizes.search + sizes.calibration :]
    return {
        "search": drawn[: sizes.search],
        "calibration": drawn[sizes.search : sizes.search + sizes.calibration],
        "test": rest[: sizes.test or len(rest)],
    }
