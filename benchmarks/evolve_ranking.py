"""A ranking prompt evolved on DL 2019, against its seed on unseen queries: docs/results/evolve.md.

The embedded model and its default prompt. Run with OMP_NUM_THREADS=1; a stopped run continues, and
a finished run is only shown again. The first method's prompt comes with rankprompt, with a record
of how it was evolved.
"""

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.tables import replace_part, table
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.pipeline.config import ModelConfig
from rankprompt.search.config import EvolveConfig, SearchConfig
from rankprompt.search.evolution import Pace, ProgressListener, run_evolution
from rankprompt.search.fitness.base import Problem
from rankprompt.search.genome import SeedPrompt
from rankprompt.search.result import RESULT_FILE
from rankprompt.search.search_state import Generation

DATA = Path("../shared/data/dl19")
PAGE = Path("docs/results/evolve.md")
WRITER = "benchmarks/evolve_ranking.py"
SHIPPED = Path("rankprompt/prompts/query-likelihood-evolved.toml")
TASK = """\
kind = "ranking"
queries = "{data}/queries.tsv"
docs = "{data}/docs.jsonl"
qrels = "{data}/qrels.trec"
run = "{data}/run.bm25.trec"
prompt = "{prompt}"
depth = 20
gap = {gap}
triples = {triples}
method = "allpair"
passage_tokens = {passage_tokens}

[splits]
search = {search}
calibration = {calibration}
"""


def measure(options: argparse.Namespace) -> None:
    task = options.folder / "ranking.toml"
    task.write_text(TASK.format(data=DATA.resolve(), **vars(options)))
    for method in options.methods:
        output = options.folder / f"{method}-{options.seed}"
        if (output / RESULT_FILE).exists():
            continue
        search = SearchConfig(
            method=method,
            seed=options.seed,
            evaluations=options.evaluations,
            population=options.population,
            offspring=options.offspring,
            start="pruned",
        )
        model = ModelConfig(name=EMBEDDED, dtype=options.dtype, threads=1)
        config = EvolveConfig(task, output, search, model)
        run_evolution(config, Progress())


class Progress(ProgressListener):
    """Prints a line for each generation on stderr."""

    def on_start(self, problem: Problem, seed: SeedPrompt, finished_generations: int) -> None:
        print(f"{len(seed.genes)} genes, labels {problem.labels}; {finished_generations} resumed",
              file=sys.stderr, flush=True)  # fmt: skip

    def on_generation(self, generation: Generation, pace: Pace) -> None:
        row = generation.row
        print(f"{row['generation']}: {row['evaluations']} evaluations, "
              f"{pace.evaluations_per_second:.3f}/s, best {row['best']:.3f}, "
              f"length {row['length_mean']:.1f}",
              file=sys.stderr, flush=True)  # fmt: skip

    def on_calibration(self, stop: str, evaluations: int) -> None:
        print(f"{stop}; {evaluations} prompts; calibrating", file=sys.stderr, flush=True)


def page(options: argparse.Namespace) -> str:
    rows: list[list[str]] = []
    words: list[str] = []
    for method in options.methods:
        path = options.folder / f"{method}-{options.seed}" / "result.json"
        if not path.exists():
            continue
        result = json.loads(path.read_text())
        if not rows:
            labels = ", ".join(f"{name} {count:,}" for name, count in result["labels"].items())
            words.append(f"Labels: {labels}. {os.cpu_count()} cores, one thread.\n")
            rows.append(["seed", "-", "100%", *_scores(result["scores"]["seed"])])
        winner = result["winner"]
        kept = f"{winner['length'] / result['genes']:.0%}"
        rows.append(
            [method, str(result["evaluations"]), kept, *_scores(result["scores"]["winner"])]
        )
        words.append(f"* {method}: {_in_words(result)}")
    columns = (
        "prompt", "evaluations", "genes kept", "pairs right, search", "pairs right, calibration",
        "pairs right, test", "nDCG@10, calibration", "nDCG@10, test",
    )  # fmt: skip
    return "\n".join([words[0], table(columns, rows), "", *words[1:], ""]) if rows else ""


def _scores(splits: dict[str, dict[str, float]]) -> list[str]:
    right = [f"{splits[name]['accuracy']:.3f}" for name in ("search", "calibration", "test")]
    return [*right, *(f"{splits[name]['ndcg@10']:.4f}" for name in ("calibration", "test"))]


def _in_words(result: dict[str, Any]) -> str:
    comparison, costs = result["comparison"], result["costs"]
    interval = comparison["interval"]
    spread = f" [{interval['low']:+.4f}, {interval['high']:+.4f}]" if interval else ""
    tested = (
        "no test"
        if comparison["randomisation"] is None
        else f"p = {comparison['randomisation']:.3f}"
    )
    by_hand = "The search was stopped by hand. " if "stop file" in result["stop"] else ""
    return (
        f"{by_hand}nDCG@10 on {comparison['queries']} unseen queries "
        f"{comparison['difference']:+.4f}{spread} "
        f"against the seed, {comparison['wins']} better, {comparison['ties']} the same, "
        f"{comparison['losses']} worse; randomisation test {tested}. "
        f"{costs['prompts']:,} prompts, {costs['tokens']:,} tokens and "
        f"{costs['reused']:,} reused, {costs['seconds'] / 60:.0f} minutes in the model."
    )


def shipped(options: argparse.Namespace) -> str:
    """Returns the evolved prompt as a file, with its record in comments."""
    from rankprompt.prompts.prompt import load_prompt
    from rankprompt.prompts.prompt_file import format_prompt

    folder = options.folder / f"{options.methods[0]}-{options.seed}"
    result = json.loads((folder / "result.json").read_text())
    search, winner, comparison = result["search"], result["winner"], result["comparison"]
    p = comparison["randomisation"]
    better = comparison["difference"] > 0 and p is not None and p < 0.05
    scores = [
        f"{label} on {split}: {one['accuracy']:.3f} of pairs right, reward {one['reward']:.2f}"
        + (f", nDCG@10 {one['ndcg@10']:.4f}" if "ndcg@10" in one else "")
        for split in ("search", "calibration", "test")
        for label in ("seed", "winner")
        for one in [result["scores"][label][split]]
    ]
    record = [
        "Evolved by `python -m benchmarks.evolve_ranking`; see docs/evolve.md.",
        f"{options.prompt}, {winner['length']} of {result['genes']} prunable tokens kept: genome",
        winner["genome"],
        f"Model {result['model']} ({result['fingerprint']}), dtype {options.dtype}.",
        f"{search['method']}, seed {search['seed']}, {result['evaluations']} evaluations, "
        f"population {search['population']}, offspring {search['offspring']}, "
        f"start {search['start']}.",
        f"TREC DL 2019, BM25's first 20, passages of {options.passage_tokens} tokens: "
        f"{options.search} queries to search,",
        f"{options.calibration} to calibrate, {comparison['queries']} to test; "
        f"{options.triples} pairs a query of the search split, {options.gap} grade or more apart.",
        f"Labels: {', '.join(f'{name} {count:,}' for name, count in result['labels'].items())}.",
        *scores,
        f"nDCG@10 against the seed on the {comparison['queries']} unseen queries: "
        f"{comparison['difference']:+.4f}, {comparison['wins']} better, "
        f"{comparison['losses']} worse, "
        f"randomisation test p = {'none' if p is None else f'{p:.3f}'}.",
        "It wins." if better else "It does not win, so the default prompt stays the default.",
    ]
    prompt = load_prompt(str(folder / "prompt.toml"))
    evolved = replace(prompt, description=f"{options.prompt}, evolved by pruning its tokens")
    source = f"{options.prompt}, pruned by PromptQuine (arXiv 2506.17930)"
    comments = "".join(f"# {line}\n" for line in record)
    return comments + format_prompt(evolved, source=source)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("evolve-runs/ranking"))
    parser.add_argument("--methods", nargs="+", default=["gga"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prompt", default="query-likelihood-demonstrations")
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--population", type=int, default=8)
    parser.add_argument("--offspring", type=int, default=16)
    parser.add_argument("--search", type=int, default=13, help="queries")
    parser.add_argument("--calibration", type=int, default=10, help="queries")
    parser.add_argument("--triples", type=int, default=2, help="of a query of the search split")
    parser.add_argument("--gap", type=int, default=1, help="grades between the two passages")
    parser.add_argument("--passage-tokens", type=int, default=100)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--only", choices=["page"])
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.only is None:
        measure(options)
    text = page(options)
    replace_part(PAGE, WRITER, text)
    SHIPPED.write_text(shipped(options))
    print(text)


if __name__ == "__main__":
    main()
