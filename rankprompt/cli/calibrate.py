"""``rankprompt calibrate``: turns a model's own numbers into probabilities of relevance."""

from pathlib import Path

import typer

from rankprompt.cli.console import print_table, tell

__all__ = ["calibrate"]

_FOLDS = 5


def calibrate(
    scores: Path = typer.Argument(
        ..., metavar="SCORES", help="The scores of a run, as rerank --scores writes them."
    ),
    qrels: Path = typer.Option(..., help="Relevance grades in TREC form."),
    output: Path = typer.Option(..., help="The calibration to write, such as calibration.json."),
    level: int = typer.Option(1, help="The lowest grade that counts as relevant."),
    unjudged_as_irrelevant: bool = typer.Option(
        False,
        "--unjudged-as-irrelevant",
        help="Count documents without a grade as not relevant, where qrels list only what is "
        "relevant (MS MARCO, much of BEIR). Default: they are left out.",
    ),
    method: str = typer.Option(
        "isotonic",
        help="isotonic: a rising function of any shape; or platt: a logistic function of two "
        "parameters, which needs fewer judged documents.",
    ),
) -> None:
    """Fit a map from a model's own numbers to probabilities of relevance, on judged documents.

    A table on stderr says how well the scores of the run, and the calibrated ones, agree with the
    grades. Of the documents that a map was fitted on, its figures flatter: the last row splits the
    queries into five parts, each scored by a map that was fitted on the others. Documents without a
    value, and queries without grades, are left out.
    """
    from rankprompt.errors import InputError
    from rankprompt.eval.calibration import cross_validate, fit_calibration
    from rankprompt.eval.judged_values import judged_values, model_of
    from rankprompt.eval.reliability import reliability
    from rankprompt.files import check_writable, read_qrels
    from rankprompt.files.scores_file import read_scores

    check_writable(output)
    if output.resolve() in (scores.resolve(), qrels.resolve()):
        raise InputError(f"{output}: this input would be overwritten; name another `output`")
    model, fingerprint = model_of(scores)
    judged = judged_values(
        read_scores(scores),
        read_qrels(qrels),
        level,
        unjudged_as_irrelevant=unjudged_as_irrelevant,
    )
    fitted = fit_calibration(
        judged,
        method=method,
        level=level,
        unjudged_as_irrelevant=unjudged_as_irrelevant,
        model=model,
        fingerprint=fingerprint,
    )
    relevant = [document.relevant for document in judged]
    share = fitted.relevant / fitted.documents
    probabilities = {
        "the share of relevant documents for all": [share] * len(judged),
        "scores of the run": [document.score for document in judged],
        f"{method}, of what it was fitted on": fitted([document.value for document in judged]),
    }
    problem = None
    try:
        probabilities[f"{method}, cross-validated"] = cross_validate(
            judged, method=method, folds=_FOLDS
        )
    except InputError as error:
        problem = f"no cross-validation: {error}"
    fitted.write(output)
    measured = {name: reliability(values, relevant) for name, values in probabilities.items()}
    rows = [
        [name, f"{found.expected_calibration_error:.4f}", f"{found.brier:.4f}"]
        for name, found in measured.items()
    ]
    print_table(("", "expected calibration error", "Brier score"), rows, stderr=True)
    if problem:
        tell(problem)
    if fitted.constant:
        tell("the values do not rise with relevance: all documents get the same probability")
    tell(
        f"{output}: {method} on {fitted.documents:,} judged documents of {fitted.queries:,} "
        f"queries, {fitted.relevant:,} of them relevant (grade {level} or higher)"
    )
