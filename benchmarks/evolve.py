"""Evolved prompts against the seed, hill climbing and random pruning: docs/results/evolve.md.

SST-2 and Subj, the embedded model, at an equal budget of evaluations, one thread.
Each (task, method, seed) has a run folder of its own under --folder: a finished run is not
repeated, and a stopped run continues. The page shows the finished runs.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.tables import replace_part, table

DATA = Path("../shared/data/tasks")
EXAMPLES = Path("search/examples")
METHODS = ("gga", "random", "tapruning", "unpruned")
PAGE = Path("docs/results/evolve.md")
WRITER = "benchmarks/evolve.py"


def task_file(folder: Path, name: str, sizes: dict[str, int]) -> Path:
    """Writes a copy of the example's task with other files and sizes, and returns its path."""
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
    from rankprompt.llm import LanguageModel
    from rankprompt.pipeline.config import ModelConfig
    from rankprompt.pipeline.job import RerankJob
    from rankprompt.pipeline.model_access import load_local
    from rankprompt.search.config import EvolveConfig, SearchConfig
    from rankprompt.search.evolution import run_evolution
    from rankprompt.search.result import RESULT_FILE

    model: LanguageModel | None = None
    how = ModelConfig(name=options.model, dtype=options.dtype, threads=1)

    def load(job: RerankJob) -> LanguageModel:
        nonlocal model
        model = model or load_local(job)
        return model

    sizes = {"search": options.search, "calibration": options.calibration, "test": options.test}
    for seed in range(options.seeds):
        for name in options.tasks:
            path = task_file(options.folder, name, sizes)
            for method in options.methods:
                output = options.folder / f"{name}-{method}-{seed}"
                if (output / RESULT_FILE).exists():
                    continue
                started = time.perf_counter()
                search = SearchConfig(
                    method=method, seed=seed, evaluations=options.evaluations, restart=True
                )
                config = EvolveConfig(path, output, search, how)
                run_evolution(config, load=load)
                print(f"{output.name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)


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


_COLUMNS = (
    "method", "evaluations", "genes kept", "search", "calibration", "test", "seed's test",
    "difference", "seeds",
)  # fmt: skip


def _row(results: Sequence[dict[str, Any]]) -> list[str]:
    def mean(values: Sequence[float]) -> str:
        spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
        return f"{fmean(values):.3f}{spread}"

    def accuracy(prompt: str, split: str) -> list[float]:
        return [one["scores"][prompt][split]["accuracy"] for one in results]

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
    parser.add_argument("--calibration", type=int, default=60)
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--page", action="store_true", help="only show the finished runs")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if not options.page:
        measure(options)
    text = f"{os.cpu_count()} cores, one thread.\n\n{page(options)}"
    replace_part(PAGE, WRITER, text)
    print(text)


if __name__ == "__main__":
    main()
