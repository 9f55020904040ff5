"""Ranking: which of two passages is more relevant to a query, asked in both orders.

The paper evolves prompts for classification, generation and mathematics; evolving a ranking prompt
is ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from rankprompt.datasets.candidates import read_candidates
from rankprompt.errors import InputError
from rankprompt.eval import Scores, compare, parse_measure, score
from rankprompt.files import read_qrels
from rankprompt.journal.cached_model import CachedModel
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.first_stage_prior import FirstStagePrior
from rankprompt.judges.guard import AnswerGuard
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.judges.registry import check_special_tokens, serves
from rankprompt.llm.base import Answer, LanguageModel, Request
from rankprompt.prompts.prompt import Prompt, load_prompt
from rankprompt.prompts.prompt_file import format_prompt
from rankprompt.prompts.template import Template
from rankprompt.rankers import RankerSettings, method
from rankprompt.rankers.reranking import as_run, rerank
from rankprompt.rankers.seeded_random import uniform
from rankprompt.search.config import SearchConfig
from rankprompt.search.fitness.base import (
    ItemProblem,
    Measures,
    digest,
    piecewise_reward,
    shared_prefix,
    take_share,
)
from rankprompt.search.task_types import RankingTask
from rankprompt.types import Candidates, Document, PairwiseQuestion, Qrels, Query

__all__ = ["RankingProblem", "Triple", "make_triples", "markers"]

NDCG = "ndcg@10"


class Triple(NamedTuple):
    """A labelled pair: one passage is more relevant to the query than the other."""

    query: Query
    better: Document
    worse: Document


def make_triples(
    candidates: Sequence[Candidates], qrels: Qrels, *, gap: int, number: int, seed: int
) -> list[Triple]:
    """Makes labelled triples of passages that the first stage retrieved.

    The worse passage is a hard negative, ranked as high as possible; the better one is drawn by the
    seed. Only judged passages are taken, as one without a grade may be relevant.

    Args:
        candidates: queries with the top of their runs, best first.
        qrels: relevance grades.
        gap: the smallest difference in grade between the two passages.
        number: the most triples of a query; no passage is the worse one twice.
        seed: of the draw.
    """
    triples = []
    for query, documents, _ in candidates:
        grades = qrels.get(query.id, {})
        judged = [document for document in documents if document.id in grades]
        made = 0
        for worse in judged:
            better = [
                document for document in judged if grades[document.id] - grades[worse.id] >= gap
            ]
            if better and made < number:
                draws = [uniform(seed, query.id, document.id, worse.id) for document in better]
                triples.append(Triple(query, better[draws.index(min(draws))], worse))
                made += 1
    return triples


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


class RankingProblem(ItemProblem[_ShownTriple]):
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

    Raises:
        InputError: the data cannot be read or are too few, or the prompt compares no passages.
    """

    def __init__(self, task: RankingTask, config: SearchConfig) -> None:
        super().__init__(task.metric, config)
        self._task = task
        self.prompt = load_prompt(task.prompt)
        if not serves(self.prompt, PairwiseQuestion):
            raise InputError(
                f"{task.prompt}: a {self.prompt.kind} compares no two passages, so labelled pairs "
                "cannot score it; name a prompt of kind choice, contrast or likelihood"
            )
        self._adapter = pairwise_adapter(self.prompt, "scoring")
        self.template = self.prompt.text
        self.frozen = task.frozen or markers(self.prompt.text)
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
            name: sum(len(self._qrels[candidate.query.id]) for candidate in split)
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
                name: digest([candidate.query.id for candidate in split])
                for name, split in self.splits.items()
            },
            "triples": {
                name: digest([f"{triple}" for triple in triples])
                for name, triples in self._triples.items()
            },
        }
        self._reranked: dict[Template, Scores] = {}

    def measures(
        self, model: CachedModel, prompts: Sequence[Template], split: str
    ) -> list[Measures]:
        """Gives nDCG@10 of a reranking (except on search), and accuracy and reward on triples."""
        on_triples = super().measures(model, prompts, split)
        if split == "search":
            return on_triples
        measured: list[Measures] = []
        for prompt, measures in zip(prompts, on_triples, strict=True):
            scores = self._score_reranking(model, prompt, self.splits[split])
            if split == "test":
                self._reranked[prompt] = scores
            measured.append({NDCG: scores.means[NDCG], **measures})
        return measured

    def _items(self, model: LanguageModel, split: str, share: float) -> list[_ShownTriple]:
        check_special_tokens(self.prompt, model)
        triples = self._triples[split]
        shown = []
        for query, *passages in take_share(triples, [triple.query.id for triple in triples], share):
            limit = self._task.passage_tokens
            better, worse = (model.truncate(passage.text, limit) for passage in passages)
            shown.append(_ShownTriple(query.text, (better, worse), 0))
            if self._adapter.ordered:
                shown.append(_ShownTriple(query.text, (worse, better), 1))
        return shown

    def _requests(self, prompt: Template, item: _ShownTriple) -> list[Request]:
        adapter = pairwise_adapter(self._with_text(prompt), "scoring")
        # The first passage is shared by few triples, so only the prompt's start is marked.
        breaks = (shared_prefix(prompt),)
        return [
            request._replace(breaks=breaks)
            for request in adapter.requests(item.query, item.passages)
        ]

    def _measure(self, item: _ShownTriple, answers: Sequence[Answer]) -> Measures:
        first = self._adapter.parse(answers, 2).answer
        probabilities = None if first is None else (first, 1 - first)
        reward = piecewise_reward(probabilities, item.right, self._config)
        return {"accuracy": float(reward > 0), "reward": reward}

    def _with_text(self, template: Template) -> Prompt:
        return replace(self.prompt, text=template)

    def _score_reranking(
        self, model: CachedModel, template: Template, candidates: Sequence[Candidates]
    ) -> Scores:
        task = self._task
        judge = PairwiseJudge(
            model,
            pairwise_adapter(self._with_text(template), "scoring"),
            decide=self.prompt.decide,
            # A prompt that brings no answers is a bad prompt, and no reason to stop.
            guard=AnswerGuard(silent=True),
            passage_tokens=task.passage_tokens,
        )
        ranker = method(task.method).bind(RankerSettings(task.k, task.k, False))
        prior = FirstStagePrior(candidates, self.prompt.prior)
        rankings = rerank(candidates, judge, ranker, adjust=prior.adjust).rankings
        run = as_run(rankings)
        return score(run, {query: self._qrels[query] for query in run}, [parse_measure(NDCG)])

    def comparison(self, seed: Template, winner: Template) -> Mapping[str, object] | None:
        """nDCG@10 on the test split, query by query."""
        scores = {"seed": self._reranked[seed], "winner": self._reranked[winner]}
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
    judged = [candidate for candidate in candidates if candidate.query.id in qrels]
    sizes = task.splits
    needed = sizes.search + sizes.calibration + max(1, sizes.test)
    if len(judged) < needed:
        raise InputError(
            f"too few queries: {needed} for the three splits, and {len(judged)} of {task.run} "
            f"have grades in {task.qrels}"
        )
    drawn = sorted(judged, key=lambda candidate: uniform(sizes.seed, "query", candidate.query.id))
    rest = drawn[sizes.search + sizes.calibration :]
    return {
        "search": drawn[: sizes.search],
        "calibration": drawn[sizes.search : sizes.search + sizes.calibration],
        "test": rest[: sizes.test or len(rest)],
    }
