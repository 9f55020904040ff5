"""Ranking: which of two passages is the more relevant, asked in both orders."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import NamedTuple

from rankprompt.datasets.candidates import read_candidates
from rankprompt.errors import InputError
from rankprompt.eval import Scores, compare, parse_measure, score
from rankprompt.files import read_qrels
from rankprompt.journal.cached_model import CachedModel
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.first_stage_prior import FirstStagePrior
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.judges.registry import serves
from rankprompt.llm.base import Request
from rankprompt.prompts.prompt import Prompt, load_prompt
from rankprompt.prompts.template import Template, parse_template
from rankprompt.rankers import RankerSettings, method
from rankprompt.rankers.reranking import as_run, rerank
from rankprompt.rankers.seeded_random import uniform
from rankprompt.search.fitness import Measures
from rankprompt.search.fitness.examples import digest, part, shared_start
from rankprompt.search.fitness.rewards import piecewise
from rankprompt.search.genome import Segment, segment
from rankprompt.search.promptfile import format_prompt
from rankprompt.search.settings import SearchSettings
from rankprompt.search.tasks import RankingTask
from rankprompt.types import Candidates, Document, PairwiseQuestion, Qrels, Query

__all__ = ["RankingProblem", "Triple", "make_triples", "markers"]

NDCG = "ndcg@10"


class Triple(NamedTuple):
    """A labelled pair: for this query, the one passage is better than the other."""

    query: Query
    better: Document
    worse: Document


def make_triples(
    candidates: Sequence[Candidates], qrels: Qrels, *, gap: int, number: int, seed: int
) -> list[Triple]:
    """Labelled triples of passages that the first stage found.

    The worse passage is a hard negative, as high in the run as can be; the better one is drawn
    by the seed. Only judged passages are taken: one without a grade may be relevant.

    Args:
        candidates: queries with the top of their runs, best first.
        qrels: grades.
        gap: the least difference in grade.
        number: of triples of a query, at the most; no passage is the worse one twice.
        seed: of the draw.
    """
    triples = []
    for query, documents, _ in candidates:
        grades = qrels.get(query.id, {})
        judged = [one for one in documents if one.id in grades]
        found = 0
        for worse in judged:
            better = [one for one in judged if grades[one.id] - grades[worse.id] >= gap]
            if better and found < number:
                draws = [uniform(seed, query.id, one.id, worse.id) for one in better]
                triples.append(Triple(query, better[draws.index(min(draws))], worse))
                found += 1
    return triples


def markers(template: Template) -> tuple[str, ...]:
    """What a ranking prompt must keep: the line up to each passage or label, and the last line."""
    parts = template.parts
    names = [name for name in dict.fromkeys(parts[1::2]) if name != "query"]
    places = [len(parts) - 1 - parts[::-1].index(name) for name in names]
    lines = [parts[place - 1] for place in places]
    last = parts[-1].rstrip()
    kept = [line[max(line.rfind("\n"), 0) :] for line in lines]
    return (*kept, last[max(last.rfind("\n"), 0) :] + parts[-1][len(last) :])


class RankingProblem:
    """Scores ranking prompts by triples, and calibrates them by nDCG@10 of a real reranking.

    The fitness is the mean, over triples and both orders, of the piecewise reward on
    P(right passage) - P(other); ``accuracy`` is the share that is right. A prompt that reads one
    passage at a time has no order: a triple is asked once. Calibration and test rerank the first
    stage's top as ``rerank --prompt`` does, the prompt's own prior included, and score it against
    the qrels. Splits are by query.

    Args:
        task: names the collection and the seed prompt.
        model: the model behind its journal, without a budget.
        settings: holds the constants of the reward.
        seed: of the triples; the task's own seed splits the queries.

    Attributes:
        splits: candidates by split.
        labels: how many grades of the qrels each split uses.
        about: the queries and triples, as JSON takes it.
    """

    def __init__(
        self, task: RankingTask, model: CachedModel, settings: SearchSettings, seed: int
    ) -> None:
        self._task, self._model = task, model
        self._gains = settings.gain_right, settings.gain_wrong
        self.prompt = load_prompt(task.prompt)
        if not serves(self.prompt, PairwiseQuestion):
            raise InputError(
                f"{task.prompt}: a {self.prompt.kind} compares no two passages, so labelled pairs "
                "cannot score it; name a prompt of kind choice, contrast or likelihood"
            )
        self._qrels = read_qrels(task.qrels)
        _, found, _ = read_candidates(
            task.run, task.queries, task.docs, depth=task.depth, skip_missing=True
        )
        self.splits = _split(found, self._qrels, task)
        self._triples = {
            name: make_triples(part, self._qrels, gap=task.gap, number=task.triples, seed=seed)
            for name, part in self.splits.items()
        }
        for name, triples in self._triples.items():
            if not triples:
                raise InputError(
                    f"no two passages of the {name} split's queries, in the first {task.depth} of "
                    f"{task.run}, are {task.gap} grades apart; lower gap, or raise depth"
                )
        self.labels: Mapping[str, int] = {"search": len(_graded(self._triples["search"]))} | {
            name: sum(len(self._qrels[one.query.id]) for one in part)
            for name, part in self.splits.items()
            if name != "search"
        }
        self.about: Mapping[str, object] = {
            "queries": {
                name: digest([one.query.id for one in part]) for name, part in self.splits.items()
            },
            "triples": {
                name: digest([f"{one}" for one in part]) for name, part in self._triples.items()
            },
        }
        self._scored: dict[tuple[str, str], Scores] = {}

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The seed prompt."""
        return segment(self.prompt.text, self._task.frozen or markers(self.prompt.text))

    def __call__(self, prompts: Sequence[str], /, *, share: float = 1.0) -> list[float]:
        """The task's metric on the search split's triples, or on a share of them."""
        triples = self._triples["search"]
        asked = part(triples, [one.query.id for one in triples], share)
        return [one[self._task.metric] for one in self._pairwise(prompts, asked)]

    def measures(self, prompts: Sequence[str], split: str) -> list[Measures]:
        """nDCG@10 of a reranking (not for search), and accuracy and reward on triples."""
        pairwise = self._pairwise(prompts, self._triples[split])
        if split == "search":
            return pairwise
        return [
            {NDCG: self._ndcg(prompt, split), **found}
            for prompt, found in zip(prompts, pairwise, strict=True)
        ]

    def _pairwise(self, prompts: Sequence[str], triples: Sequence[Triple]) -> list[Measures]:
        shown = [one for triple in triples for one in self._orders(triple)]
        filled = [self._with(prompt) for prompt in prompts]
        asked = [self._requests(one, *texts) for one in filled for *texts, _ in shown]
        replies = iter(self._model.answer([request for part in asked for request in part]))
        parts = iter(asked)
        found: list[Measures] = []
        for one in filled:
            rewards = []
            for *_, right in shown:
                # There is no budget, so there is an answer to each.
                answers = [answer for _ in next(parts) if (answer := next(replies).answer)]
                first = pairwise_adapter(one, "scoring").parse(answers, 2).answer
                share = math.nan if first is None else first
                rewards.append(piecewise([share, 1 - share], right, *self._gains))
            accuracy = fmean(reward > 0 for reward in rewards)
            found.append({"accuracy": accuracy, "reward": fmean(rewards)})
        return found

    def _orders(self, triple: Triple) -> list[tuple[str, str, str, int]]:
        """Texts of query, first and second passage, and which of the two is right."""
        query, *passages = triple
        truncate = self._model.model.truncate
        better, worse = (truncate(one.text, self._task.passage_tokens) for one in passages)
        orders = [(query.text, better, worse, 0), (query.text, worse, better, 1)]
        return orders if pairwise_adapter(self.prompt, "scoring").ordered else orders[:1]

    def _with(self, prompt: str) -> Prompt:
        return replace(self.prompt, text=parse_template(prompt))

    def _requests(self, prompt: Prompt, query: str, *passages: str) -> list[Request]:
        # The first passage is shared by few triples: it is not worth a run of its own.
        breaks = (shared_start(prompt.text),)
        found = pairwise_adapter(prompt, "scoring").requests(query, passages)
        return [one._replace(breaks=breaks) for one in found]

    def _ndcg(self, prompt: str, split: str) -> float:
        task, candidates = self._task, self.splits[split]
        judge = PairwiseJudge(
            self._model,
            pairwise_adapter(self._with(prompt), "scoring"),
            decide="agreement" if self.prompt.kind == "choice" else "soft",
            passage_tokens=task.passage_tokens,
        )
        ranker = method(task.method).bind(RankerSettings(task.k, task.k, False))
        prior = FirstStagePrior(candidates, self.prompt.prior)
        rankings, _ = rerank(candidates, judge, ranker, adjust=prior.adjust)
        run = as_run(rankings)
        qrels = {query: self._qrels[query] for query in run}
        scores = score(run, qrels, [parse_measure(NDCG)])
        self._scored[prompt, split] = scores
        return scores.means[NDCG]

    def comparison(self, seed: str, winner: str) -> Mapping[str, object] | None:
        """nDCG@10 on the test split, which both must have been scored on, query by query."""
        scored = {"seed": self._scored[seed, "test"], "winner": self._scored[winner, "test"]}
        (found,) = compare(scored, "seed", [NDCG])
        return {**vars(found), "interval": found.interval and vars(found.interval)}

    def file(self, prompt: str) -> str:
        """A prompt file that ``rerank --prompt`` takes."""
        evolved = replace(self._with(prompt), description="Evolved by pruning tokens")
        return format_prompt(evolved, source=f"{self.prompt.name}, pruned (arXiv 2506.17930)")


def _split(
    candidates: Sequence[Candidates], qrels: Qrels, task: RankingTask
) -> dict[str, list[Candidates]]:
    """Queries with grades, by split; the task's seed draws them."""
    judged = [one for one in candidates if one.query.id in qrels]
    sizes = task.splits
    needed = sizes.search + sizes.calibration + max(1, sizes.test)
    if len(judged) < needed:
        raise InputError(
            f"too few queries: {needed} for the three splits, and {len(judged)} of {task.run} "
            f"have grades in {task.qrels}"
        )
    mixed = sorted(judged, key=lambda one: uniform(sizes.seed, "query", one.query.id))
    rest = mixed[sizes.search + sizes.calibration :]
    return {
        "search": mixed[: sizes.search],
        "calibration": mixed[sizes.search : sizes.search + sizes.calibration],
        "test": rest[: sizes.test or len(rest)],
    }


def _graded(triples: Sequence[Triple]) -> set[tuple[str, str]]:
    return {(one.query.id, document.id) for one in triples for document in one[1:]}
