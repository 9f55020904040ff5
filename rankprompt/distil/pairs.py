"""What a teacher prefers: pairs from the journal of a run, or drawn and asked anew."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from math import comb, isqrt
from pathlib import Path
from random import Random
from typing import NamedTuple, TypeVar, cast

from rankprompt.errors import InputError
from rankprompt.files import read_qrels
from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel
from rankprompt.journal.store import Journal
from rankprompt.judges.base import CHUNK
from rankprompt.judges.guard import AnswerGuard
from rankprompt.judges.known_pairs import judge_from_journal
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.judges.registry import make_judge, make_oracle
from rankprompt.judges.simulated.grade_coverage import GradeCoverage
from rankprompt.llm.base import AsyncLanguageModel, LanguageModel
from rankprompt.pipeline.execution import make_guard, open_server
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.model_access import OwnModels
from rankprompt.types import (
    Candidates,
    Fallback,
    PairwiseQuestion,
    Preference,
    Progress,
    no_progress,
)

__all__ = ["Taught", "ask_teacher", "draw", "draw_questions", "find_in_journal", "known"]

T = TypeVar("T")

_MODEL = "`model`, `prompt`, `mode`, `order`, `passage_tokens`, `seed`"


class Taught(NamedTuple):
    """A pair, and the probability that the first document is more relevant, by the teacher."""

    question: PairwiseQuestion
    preference: Preference


def draw_questions(
    candidates: Sequence[Candidates], number: int, seed: int
) -> list[PairwiseQuestion]:
    """Draws pairs of candidates, as evenly over queries as their documents allow.

    Which document of a pair is the first is drawn, too.

    Args:
        candidates: queries with their documents.
        number: the most pairs.
        seed: the seed; a query's pairs depend on it, on the query's id and on how many are drawn.
    """
    sizes = [comb(len(one.documents), 2) for one in candidates]
    questions: list[PairwiseQuestion] = []
    for (query, documents, _), count, size in zip(
        candidates, _shares(sizes, number), sizes, strict=True
    ):
        random = Random(f"{seed} pairs {query.id}")
        for index in random.sample(range(size), count):
            # Pairs of a lower and a higher index, in the order of the higher one.
            higher = (1 + isqrt(1 + 8 * index)) // 2
            pair = [documents[index - higher * (higher - 1) // 2], documents[higher]]
            random.shuffle(pair)
            questions.append(PairwiseQuestion(query, *pair))
    return questions


def draw(taught: Iterable[Taught], number: int, seed: int) -> list[Taught]:
    """Draws pairs, as evenly over queries as their numbers allow; as ``draw_questions``."""
    by_query: dict[str, list[Taught]] = {}
    for one in taught:
        by_query.setdefault(one.question.query.id, []).append(one)
    shares = _shares([len(pairs) for pairs in by_query.values()], number)
    return [
        one
        for (query, pairs), count in zip(by_query.items(), shares, strict=True)
        for one in Random(f"{seed} pairs {query}").sample(pairs, count)
    ]


def _shares(sizes: Sequence[int], number: int) -> list[int]:
    """How many to draw of each pool: as many of each, where pools are large enough."""
    shares = [0] * len(sizes)
    order = sorted(range(len(sizes)), key=lambda index: sizes[index])
    for place, index in enumerate(order):
        shares[index] = min(sizes[index], number // (len(order) - place))
        number -= shares[index]
    return shares


def find_in_journal(
    path: Path, job: RerankJob, candidates: Sequence[Candidates], progress: Progress = no_progress
) -> list[Taught]:
    """Finds the pairs of candidates that a journal has answers about, whichever method asked them.

    Nothing is asked, and the journal stays as it is.

    Args:
        path: the journal's file.
        job: a job as that of the run that wrote the journal: its model, prompt and settings.
        candidates: queries with their documents.
        progress: opens a progress bar.

    Raises:
        InputError: there is no such file, an oracle is named, or the journal has no such answer.
        JournalError: the file is not a journal.
    """
    if job.source == "oracle":
        raise InputError("an oracle has no `journal`: leave it out, or name the model of the run")
    if not path.is_file():
        raise InputError(f"{path}: no such journal to learn from")
    with ExitStack() as stack:
        journal = stack.enter_context(closing(Journal(path)))
        model = _open_model(job, stack)

        # The judge renders questions and reads answers; it writes into no journal but this.
        cached = CachedModel(cast(LanguageModel, model), Journal(None))
        judge = _judge(job, cached, AnswerGuard(silent=True))
        taught: list[Taught] = []
        number = sum(comb(len(one.documents), 2) for one in candidates)
        with progress("reading the journal", number) as advance:
            answered = judge_from_journal(judge, journal, model.fingerprint, candidates)
            for questions, preferences in answered:
                taught += known(questions, preferences)
                advance(len(questions))
    if not taught:
        raise InputError(
            f"{path}: holds no answer about pairs of these candidates by this model; give the "
            f"settings of the run that wrote it ({_MODEL}), as with its manifest (`from`)"
        )
    return taught


def ask_teacher(
    job: RerankJob,
    candidates: Sequence[Candidates],
    number: int,
    progress: Progress = no_progress,
) -> list[Taught]:
    """Asks a job's judge about pairs that are drawn; its journal answers what it holds.

    Args:
        job: the job, with its budget and seed. Pairs that the budget does not reach are left out.
        candidates: queries with their documents.
        number: the most pairs.
        progress: opens a progress bar.

    Raises:
        InputError: an oracle's grades are of other queries.
        ModelError: the model cannot be loaded, or its answers cannot be read.
    """
    questions = draw_questions(candidates, number, job.config.seed)
    with ExitStack() as stack, progress(f"asking {job.model}", len(questions)) as advance:
        if job.source == "oracle":
            qrels = read_qrels(job.qrels)
            coverage = GradeCoverage(job.qrels, qrels)
            coverage.add(candidates)
            coverage.finish()
            oracle = make_oracle(
                PairwiseQuestion, qrels, job.errors, seed=job.config.seed, on_judged=advance
            )
            return known(questions, cast(list[Preference], oracle(questions)))
        models = OwnModels()
        journal = models.journal(job.config.output.journal, stack)
        guard = make_guard(job)
        if job.source == "server":
            runner, served = open_server(job, models, journal, stack)
            judge = _judge(job, served, guard)
            preferences = runner.run(judge.ask_concurrently(questions))
        else:
            local = CachedModel(models.local(job, stack), journal, job.budget)
            preferences = []
            judge = _judge(job, local, guard)
            for start in range(0, len(questions), CHUNK):
                chunk = questions[start : start + CHUNK]
                preferences += judge(chunk)
                advance(len(chunk))
        guard.finish()
        return known(questions, preferences)


def _judge(
    job: RerankJob, model: CachedModel | ConcurrentCachedModel, guard: AnswerGuard
) -> PairwiseJudge:
    assert job.prompt is not None, "an oracle has a judge of its own"
    judging = job.config.judge
    judge = make_judge(
        PairwiseQuestion,
        model,
        job.prompt,
        mode=judging.mode,
        # A run of order lazy has asked some pairs in both orders; those are the ones to learn from.
        order="single" if judging.order == "single" else "both",
        decide="soft",
        seed=job.config.seed,
        guard=guard,
        passage_tokens=judging.passage_tokens,
    )
    return cast(PairwiseJudge, judge)


def _open_model(job: RerankJob, stack: ExitStack) -> LanguageModel | AsyncLanguageModel:
    models = OwnModels()
    if job.source == "server":
        return models.server(job, stack).model
    return models.local(job, stack)


def known(questions: Sequence[PairwiseQuestion], preferences: Sequence[Preference]) -> list[Taught]:
    """The pairs about which the teacher has said something."""
    return [
        Taught(question, float(preference))
        for question, preference in zip(questions, preferences, strict=True)
        if not isinstance(preference, Fallback)
    ]
