"""``evaluate`` and ``compare``: scores of runs as records, tables and pandas DataFrames."""

from collections.abc import Iterable, Iterator

from rankprompt.api.evaluation_results import Comparisons, Evaluation
from rankprompt.api.run_sources import (
    QrelsSource,
    Runs,
    RunSource,
    add_baseline,
    name_runs,
    qrels_source,
)
from rankprompt.api.tables import Record
from rankprompt.errors import InputError
from rankprompt.eval.comparison import Interval
from rankprompt.eval.measures import Measure, parse_measures
from rankprompt.eval.scored_runs import compare_runs, read_grades, score_runs
from rankprompt.eval.scoring import Scores

__all__ = ["Comparisons", "Evaluation", "compare", "evaluate"]


def evaluate(
    qrels: QrelsSource | None,
    runs: Runs,
    measures: str | Iterable[str] = ("ndcg@10",),
    *,
    dataset: str | None = None,
    split: str | None = None,
    ties: str = "docid",
    shared: bool = False,
) -> Evaluation:
    """Scores runs against relevance grades, by trec_eval's rules, as ``rankprompt evaluate`` does.

    Args:
        qrels: a file in TREC form, or grades by query id and document id; None with ``dataset``.
        runs: runs by name, each a file or scores by query id and document id; or a single run, or
            a list of files.
        measures: names such as "ndcg@10", "map-l2@100" or "recall@100", or groups of them such as
            "trec-dl"; a text may hold several. Means are over all queries of the grades.
        dataset: in place of ``qrels``, the collection whose grades are read, such as "ir:ID" or
            "beir:FOLDER".
        split: of the dataset, such as "dev".
        ties: the order of equal scores: "docid", as in trec_eval, or "order", by the rank column of
            a file or by the order of a mapping.
        shared: score only the judged queries that all runs have. Otherwise a query that a run
            lacks counts 0.

    Raises:
        InputError: a file cannot be read, a measure is unknown, a score is not finite, a run is
            empty, or a run has no query in common with the grades.

    Examples:
        >>> from rankprompt.api.evaluation import evaluate
        >>> qrels = {"q1": {"d1": 0, "d2": 1}, "q2": {"d1": 1}}
        >>> runs = {
        ...     "first": {"q1": {"d1": 2.0, "d2": 1.0}, "q2": {"d1": 1.0}},
        ...     "better": {"q1": {"d1": 0.1, "d2": 0.9}, "q2": {"d1": 0.5}},
        ... }
        >>> evaluation = evaluate(qrels, runs, "mrr precision@1")
        >>> print(evaluation)
        run        mrr  precision@1  queries
        first   0.7500       0.5000        2
        better  1.0000       1.0000        2
        >>> evaluation.records[0]
        {'run': 'first', 'measure': 'mrr', 'mean': 0.75, 'queries': 2, 'missing': 0}
        >>> evaluation.to_frame()["mean"].tolist()
        [0.75, 0.5, 1.0, 1.0]
    """
    parsed = _parse(measures)
    grades, _ = read_grades(qrels_source(qrels), dataset, split, parsed)
    named = name_runs(runs)
    scored = score_runs(list(named.items()), grades, ties, shared=shared)
    by_name = list(zip(named, scored.scores, strict=True))
    records = [
        {
            "run": name,
            "measure": measure.name,
            "mean": scores.means[measure.name],
            "queries": len(scores.by_query[measure.name]),
            "missing": len(scores.missing),
        }
        for name, scores in by_name
        for measure in parsed
    ]
    by_query = [
        {"run": name, "measure": measure.name, "query": query, "value": value}
        for name, scores in by_name
        for measure in parsed
        for query, value in scores.by_query[measure.name].items()
    ]
    return Evaluation(tuple(records), tuple(by_query), _in_python(scored.limitations))


def compare(
    qrels: QrelsSource | None,
    runs: Runs,
    baseline: RunSource,
    measure: str | Iterable[str] = "ndcg@10",
    *,
    dataset: str | None = None,
    split: str | None = None,
    ties: str = "docid",
    shared: bool = False,
    seed: int = 0,
) -> Comparisons:
    """Compares runs with a baseline, query by query, as ``rankprompt compare`` does.

    Means with 95% confidence intervals (bootstrap, BCa); paired t-test and Fisher's randomisation
    test, two-sided; Holm's correction of the latter.

    Args:
        qrels: as for ``evaluate``.
        runs: as for ``evaluate``.
        baseline: the name of one of the runs, or another run: a file, or a mapping, which is then
            called "baseline".
        measure: as the measures of ``evaluate``. Each further measure makes the correction of all
            but the first stricter.
        dataset: as for ``evaluate``.
        split: as for ``evaluate``.
        ties: as for ``evaluate``.
        shared: as for ``evaluate``.
        seed: of the bootstrap and of the randomisation test.

    Raises:
        InputError: as ``evaluate``, or there is no such baseline, or nothing beside it.

    Examples:
        >>> from rankprompt.api.evaluation import compare
        >>> qrels = {f"q{n}": {"good": 1} for n in range(8)}
        >>> first = {query: {"bad": 2.0, "good": 1.0} for query in qrels}
        >>> better = {query: {"bad": 1.0, "good": 2.0} for query in qrels}
        >>> compared = compare(qrels, {"better": better}, baseline=first, measure="mrr")
        >>> compared.records[0]["difference"], compared.records[0]["randomisation"]
        (0.5, 0.0078125)
        >>> compared.sentences[0].partition("; ")[2]
        'unlikely to be chance (corrected p 0.008).'
    """
    parsed = _parse(measure)
    named, base = add_baseline(name_runs(runs), baseline)
    grades, _ = read_grades(qrels_source(qrels), dataset, split, parsed)
    scored = score_runs(list(named.items()), grades, ties, shared=shared)
    scores = dict(zip(named, scored.scores, strict=True))
    compared = compare_runs(scores, base, [one.name for one in parsed], seed=seed)
    records = [
        {
            "run": one.run,
            "baseline": base,
            "measure": one.measure,
            "mean": scores[one.run].means[one.measure],
            "baseline_mean": scores[base].means[one.measure],
            "difference": one.difference,
            **_ends(one.interval),
            "queries": one.queries,
            "better": one.wins,
            "equal": one.ties,
            "worse": one.losses,
            "effect": one.effect,
            "t_test": one.t_test,
            "randomisation": one.randomisation,
            "holm": one.holm,
        }
        for one in compared.comparisons
    ]
    means = [
        {"run": mean.run, "measure": mean.measure, "mean": mean.mean, **_ends(mean.interval)}
        for mean in compared.means
    ]
    by_query = [
        row
        for one in compared.comparisons
        for row in _differences(one.run, one.measure, scores[one.run], scores[base])
    ]
    return Comparisons(
        tuple(records),
        tuple(by_query),
        _in_python((*scored.limitations, *compared.limitations)),
        tuple(means),
        _in_python(one.in_words() for one in compared.comparisons),
    )


def _parse(measures: str | Iterable[str]) -> list[Measure]:
    names = [measures] if isinstance(measures, str) else list(measures)
    for name in names:
        if not isinstance(name, str):
            raise InputError(f"`measures` must be names, not {name!r:.80}")
    return parse_measures(names)


def _differences(run: str, measure: str, after: Scores, before: Scores) -> Iterator[Record]:
    for query, value in after.by_query[measure].items():
        base = before.by_query[measure][query]
        yield {
            "run": run,
            "measure": measure,
            "query": query,
            "value": value,
            "baseline_value": base,
            "difference": value - base,
        }


def _ends(interval: Interval | None) -> Record:
    low, high = (interval.low, interval.high) if interval else (None, None)
    return {"low": low, "high": high}


def _in_python(sentences: Iterable[str]) -> tuple[str, ...]:
    """Names an option as Python does, not as the command line."""
    return tuple(sentence.replace("--shared", "shared=True") for sentence in sentences)
