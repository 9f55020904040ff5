"""Evolved prompts against the seed, hill climbing and random pruning: docs/evolve.md.

SST-2 and Subj, the embedded model, at an equal budget of evaluations, one thread.
Each (task, method, seed) is a run folder of its own under --folder: what was finished is not run
again, and what was stopped goes on. The page shows what is finished.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.tables import replace_part, table

DATA = Path("../shared/data/tasks")
EXAMPLES = Path("search/examples")
METHODS = ("gga", "random", "tapruning", "unpruned")
PAGE = Path("docs/evolve.md")
WRITER = "benchmarks/evolve.py --only"


def task_file(folder: Path, name: str, sizes: dict[str, int]) -> Path:
    """The example's task, its files and sizes replaced."""
    lines = (
        (EXAMPLES / f"{name}.toml").read_text().replace(f'"{name}/', f'"{DATA.resolve()}/{name}/')
    )
    for key, value in sizes.items():
        lines = "\n".join(
            f"{key} = {value}" if line.startswith(f"{key} = ") and '"' not in line else line
            for line in lines.split("\n")
        )
    path = folder / f"{name}.toml"
    path.write_text(lines)
    return path


def measure(options: argparse.Namespace) -> None:
    from rankprompt.models import load_model
    from rankprompt.search.evolving import RESULT, EvolveJob, run_evolution
    from rankprompt.search.settings import SearchSettings

    model = None

    def load(name: str, **loading: Any) -> Any:
        nonlocal model
        model = model or load_model(name, **loading)
        return model

    sizes = {"search": options.search, "calibration": options.calibration, "test": options.test}
    for seed in range(options.seeds):
        for name in options.tasks:
            path = task_file(options.folder, name, sizes)
            for method in options.methods:
                output = options.folder / f"{name}-{method}-{seed}"
                if (output / RESULT).exists():
                    continue
                started = time.perf_counter()
                settings = SearchSettings(
                    method=method, seed=seed, evaluations=options.evaluations, restart=True
                )
                job = EvolveJob(path, output, settings, options.model, options.dtype, threads=1)
                run_evolution(job, load=load)
                print(f"{output.name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)


WAYS: dict[str, dict[str, Any]] = {
    "one prompt at a time": {"prefix_bytes": 0, "batch_tokens": 1},
    "plain batching": {"prefix_bytes": 0},
    "batching with prefix reuse": {"starts_end": True},
}


def speeds(options: argparse.Namespace) -> None:
    """Evaluations a second with prefix reuse, with plain batching, and one prompt at a time.

    By the clock, with as many threads as there are cores: run it on a machine that does nothing
    else, or with OMP_NUM_THREADS=1.
    """
    import torch

    from rankprompt.answering import Answering
    from rankprompt.cascade.offsets import model_offsets
    from rankprompt.journal import Journal
    from rankprompt.models.base import Answer, Request
    from rankprompt.models.embedded import converted
    from rankprompt.models.loading import load_pair
    from rankprompt.models.local import LocalModel
    from rankprompt.models.machine import use_threads
    from rankprompt.search.fitness import make_problem
    from rankprompt.search.genome import SeedPrompt
    from rankprompt.search.operators import random_genome
    from rankprompt.search.settings import SearchSettings
    from rankprompt.search.tasks import load_task

    class Keeping(Answering):
        """Keeps the log-likelihoods of the last chunk."""

        def __call__(self, requests: Sequence[Request]) -> tuple[list[Answer | None], list[bool]]:
            answers, known = super().__call__(requests)
            self.kept = [value for one in answers if one for value in one.loglikelihoods]
            return answers, known

    threads = use_threads(None)
    network, tokenizer = load_pair(
        str(converted()), dtype=torch.float32, device=torch.device("cpu"), trust_remote_code=False
    )
    offsets = model_offsets(options.model)
    made = options.folder / "speeds.json"
    rows: dict[str, Any] = json.loads(made.read_text()) if made.exists() else {}
    # The most that 8 shots a label leave of SST-2's 32 training examples.
    sizes = {"search": 16, "calibration": 20, "test": 20}
    for shots in options.shots:
        task = load_task(task_file(options.folder, "sst2", {**sizes, "shots": shots}))
        rows[f"{shots}"] = {}
        first: tuple[list[float], list[float]] | None = None
        for way, loading in WAYS.items():
            model = LocalModel(network, tokenizer, name=options.model, **loading)
            answering = Keeping(model, Journal(None))
            problem = make_problem(task, answering, SearchSettings(), 0)
            seed = SeedPrompt(problem.segments, offsets)
            rng, size = random.Random(0), len(seed.genes)
            genomes = [random_genome(size, size // 2, rng) for _ in range(options.genomes)]
            prompts = [seed.render(one) for one in dict.fromkeys(genomes)]
            started = time.perf_counter()
            scores = problem(prompts)
            seconds = time.perf_counter() - started
            found = (answering.kept, scores)
            first = first or found
            rows[f"{shots}"][way] = {
                "genes": size,
                "evaluations a second": len(scores) / seconds,
                "threads": threads,
                "tokens": answering.costs.tokens / len(scores),
                "padding": answering.costs.padding / len(scores),
                "differences": [
                    max(abs(a - b) for a, b in zip(*each, strict=True))
                    for each in zip(found, first, strict=True)
                ],
            }
            print(shots, way, rows[f"{shots}"][way], file=sys.stderr, flush=True)
            made.write_text(json.dumps(rows, indent=2))


def page(options: argparse.Namespace) -> str:
    parts = []
    for name in options.tasks:
        rows = []
        for method in options.methods:
            done = {
                seed: json.loads(path.read_text())
                for seed in range(options.seeds)
                if (path := options.folder / f"{name}-{method}-{seed}" / "result.json").exists()
            }
            if done:
                rows.append([method, *_row(list(done.values())), " ".join(map(str, done))])
        if rows:
            parts += [f"### {name}\n", table(_COLUMNS, rows), ""]
    return "\n".join(parts)


def speed_page(options: argparse.Namespace) -> str:
    made = options.folder / "speeds.json"
    if not made.exists():
        return ""
    found = json.loads(made.read_text())
    threads = sorted({one["threads"] for ways in found.values() for one in ways.values()})
    return (
        f"{os.cpu_count()} cores, threads: {', '.join(map(str, threads))}; "
        f"{datetime.now(UTC):%Y-%m-%d}.\n\n{table(_SPEED_COLUMNS, _speed_rows(found))}\n"
    )


_COLUMNS = (
    "method", "evaluations", "genes kept", "search", "calibration", "test", "seed's test",
    "difference", "seeds",
)  # fmt: skip


_SPEED_COLUMNS = (
    "shots a label", "way", "evaluations a second", "against one at a time",
    "against plain batching", "tokens an evaluation", "padding",
    "largest difference in log-probability", "in reward",
)  # fmt: skip


def _speed_rows(found: dict[str, Any]) -> list[list[str]]:
    return [
        [
            f"{shots} ({one['genes']} genes)",
            way,
            f"{one['evaluations a second']:.2f}",
            *(
                f"{one['evaluations a second'] / ways[other]['evaluations a second']:.1f}x"
                for other in list(WAYS)[:2]
            ),
            f"{one['tokens']:.0f}",
            f"{one['padding']:.0f}",
            *(f"{each:.1e}" for each in one["differences"]),
        ]
        for shots, ways in sorted(found.items(), key=lambda item: int(item[0]))
        for way, one in ways.items()
    ]


def _row(results: Sequence[dict[str, Any]]) -> list[str]:
    def mean(values: Sequence[float]) -> str:
        spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
        return f"{fmean(values):.3f}{spread}"

    def accuracy(who: str, split: str) -> list[float]:
        return [one["scores"][who][split]["accuracy"] for one in results]

    winner, seed = accuracy("winner", "test"), accuracy("seed", "test")
    return [
        f"{fmean(one['evaluations'] for one in results):.0f}",
        f"{fmean(one['winner']['length'] / one['genes'] for one in results):.0%}",
        *(mean(accuracy("winner", split)) for split in ("search", "calibration")),
        mean(winner),
        mean(seed),
        mean([one - other for one, other in zip(winner, seed, strict=True)]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".benchmarks/evolve"))
    parser.add_argument("--tasks", nargs="+", default=["sst2", "subj"])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--evaluations", type=int, default=400)
    parser.add_argument("--search", type=int, default=20)
    parser.add_argument("--calibration", type=int, default=100)
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--genomes", type=int, default=8, help="of the measurement of speed")
    parser.add_argument("--shots", type=int, nargs="+", default=[1, 4, 8], help="the same")
    parser.add_argument("--only", choices=["quality", "speed", "page"])
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.only in (None, "speed"):
        speeds(options)
    if options.only in (None, "quality"):
        measure(options)
    quality = page(options)
    quality = quality and f"{os.cpu_count()} cores, one thread.\n\n{quality}"
    for name, text in (("quality", quality), ("speed", speed_page(options))):
        replace_part(PAGE, f"{WRITER} {name}", text)
        print(text)


if __name__ == "__main__":
    main()
