"""What ``rankprompt plan`` says below its table."""

from rankprompt.pipeline.batch_rounds import FEW_BATCHES
from rankprompt.pipeline.job import BATCH_PRICE
from rankprompt.planning.config import Plan

__all__ = ["plan_notes"]


def plan_notes(made: Plan) -> list[str]:
    """What a reader of a plan's table has to know, a sentence or two each."""
    notes = [
        f"{made.queries:,} queries, {made.documents:,} candidates; their first stage has "
        f"nDCG@10 {made.first_stage:.3f}"
    ]
    if made.grades == "synthetic":
        notes.append(
            "nDCG@10 is against synthetic grades: the document at rank r is relevant with "
            "probability 1/(2 sqrt(r)); --qrels takes real grades"
        )
    if made.judge_model:
        notes.append(
            f"the judge is simulated: {made.judge_model}; its errors are drawn anew for each "
            f"question, in {made.seeds} simulations, whose mean and deviation these are"
        )
        if all(row.question == "comparison" for row in made.methods):
            notes.append(
                "this judge model tells how answers about pairs err, so only the methods that "
                "compare pairs are shown; gap=S and flip=P are for all"
            )
    else:
        notes.append(
            "the last columns are what nDCG@10 loses when about 10% and 20% of the judge's answers "
            f"are wrong, the mean of {made.seeds} simulations"
        )
    if made.one_passage_at_a_time:
        notes.append(
            "this prompt reads one passage at a time: a model's errors then do not differ from "
            "pair to pair as the simulated judge's do, and methods come out more alike"
        )
    prompts = {row.prompt: None for row in made.methods if row.prompt}
    if made.staged:
        notes.append(
            "each stage reranks what the stage before left it; nDCG@10 is that of the whole "
            "ranking after it"
        )
        if made.methods[-1].seconds is not None:
            notes.append(
                "the time is an estimate from a few prompts of each stage; loading a model on this "
                "machine comes on top"
            )
    elif len(prompts) > 1:
        notes.append(f"each method is priced with a prompt of its kind: {', '.join(prompts)}")
    notes += _batch_notes(made)
    if (speed := made.calibration) and made.methods[0].seconds is not None:
        notes.append(
            f"the time is an estimate from {speed.prompts:,} prompts at "
            f"{speed.tokens_per_second:,.0f} tokens a second, without loading the model"
        )
    if made.tokens_guessed:
        notes.append("the server's tokens are guessed from the texts' bytes, rather too many")
    if made.unjudged_queries:
        notes.append(f"{made.unjudged_queries:,} queries without grades are left out of nDCG@10")
    if made.skipped_documents:
        notes.append(f"{made.skipped_documents:,} candidates without text left in place")
    return notes


def _batch_notes(made: Plan) -> list[str]:
    """What the batch API costs, and how long a plan's methods may wait for it."""
    waiting = [row for row in made.methods if row.waits is not None]
    if not waiting:
        return []
    notes = [
        f"--batch-api: costs are at {BATCH_PRICE:.0%} of the prices given, as OpenAI's; each round "
        "waits for a batch, which may take 24 hours"
    ]
    few = [row.method for row in waiting if (row.waits or 0) <= FEW_BATCHES]
    if not made.staged:
        notes.append(
            f"at most {FEW_BATCHES} batches, one after another: {', '.join(few) or 'no method'}; "
            "the others wait longer"
        )
    return notes
