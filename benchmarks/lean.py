"""What `pip install rankprompt` alone takes: its size, its imports, and the time of its commands.

A fresh virtual environment gets the core with the versions of constraints.txt. Every command is a
whole process of its own, timed from outside; the model behind a server is simulated in this one.
"""

import argparse
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.tables import replace_part, table
from tests.servers.protocol import ProtocolServer
from tests.servers.speaker import Speaker

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "install.md"
WRITER = "benchmarks/lean.py"


class Seconds(NamedTuple):
    """Of a process: by the clock, and of the processor, which other work delays less."""

    wall: float
    busy: float


class Environment:
    """A virtual environment with the core of rankprompt, and a cache of its own."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        self.python = folder / "venv" / "bin" / "python"
        (self.packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
        # A copy: setuptools leaves files beside the sources that it builds.
        source = folder / "source"
        shutil.copytree(ROOT / "rankprompt", source / "rankprompt")
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        pip = f"{sys.executable} -m pip --python {self.python} install -qq"
        subprocess.run([*pip.split(), "-c", ROOT / "constraints.txt", source], check=True)
        self._variables = {**os.environ, "RANKPROMPT_CACHE": str(folder / "cache")}
        self._variables.pop("PYTHONPATH", None)
        self._folder = folder

    def run(self, *words: str) -> tuple[Seconds, str]:
        """Runs Python with these words; returns the time, and what it printed."""
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [self.python, *words], env=self._variables, cwd=self._folder,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if done.returncode:
            sys.exit(done.stderr)
        return Seconds(wall, busy), done.stdout + done.stderr

    def import_milliseconds(self) -> float:
        """The time of `import rankprompt` as Python reports it."""
        _, report = self.run("-X", "importtime", "-c", "import rankprompt")
        (whole,) = re.findall(r"\| +(\d+) \| rankprompt$", report, re.MULTILINE)
        return int(whole) / 1000

    def sizes(self) -> Mapping[str, float]:
        """The megabytes of each folder or file among the packages."""
        return {
            path.name: sum(
                file.stat().st_size
                for file in (path.rglob("*") if path.is_dir() else [path])
                if file.is_file()
            )
            / 1e6
            for path in self.packages.iterdir()
        }


def measure(environment: Environment, turns: int) -> list[list[str]]:
    """A row for each command, in seconds: its first run and the fastest of all."""
    sample = environment.packages / "rankprompt" / "datasets" / "sample" / "en"
    texts = ("--queries", sample / "queries.tsv", "--docs", sample / "docs.jsonl")
    qrels = sample / "qrels.trec"
    longer = Speaker(lambda first, second: 0.9 if len(first) > len(second) else 0.1)
    rows = []
    with ProtocolServer(longer) as server:
        commands: Mapping[str, Sequence[object]] = {
            "--help": (),
            "retrieve": (*texts, "--depth", 20, "--output", "bm25.trec"),
            "rerank": (
                *texts, "--run", "bm25.trec", "--output", "better{turn}.trec", "--depth", 5,
                "--model", "openai:any", "--base-url", server.url,
            ),
            "evaluate": ("--qrels", qrels, "bm25.trec", "better0.trec"),
            "compare": ("--qrels", qrels, "--baseline", "bm25.trec", "better0.trec"),
        }  # fmt: skip
        for verb, words in commands.items():
            timed = [
                environment.run(
                    "-m", "rankprompt", verb, *(str(word).format(turn=turn) for word in words)
                )[0]
                for turn in range(turns)
            ]
            fastest = [f"{min(one):.2f}" for one in zip(*timed, strict=True)]
            rows.append([f"`rankprompt {verb}`", f"{timed[0].wall:.2f}", *fastest])
    return rows


def report(environment: Environment, turns: int) -> str:
    """The text of the page's measured part."""
    sizes = environment.sizes()
    count = sum(name.endswith(".dist-info") for name in sizes)
    largest = sorted(
        (name for name in sizes if not name.endswith(".libs")), key=sizes.__getitem__, reverse=True
    )[:4]
    parts = ", ".join(
        f"{name} {sizes[name] + sizes.get(f'{name}.libs', 0):.0f}" for name in largest
    )
    rows = measure(environment, turns)
    imports = min(environment.import_milliseconds() for _ in range(turns))
    return f"""\
{count} packages with rankprompt itself, {sum(sizes.values()):.0f} MB on disk ({parts}).
`python -X importtime -c "import rankprompt"`: {imports:.0f} ms.

The sample collection: 24 queries, BM25's first 20 passages, of which 5 are reranked by a simulated
model behind a server. Whole processes with their imports: the first run, with an empty cache, and
the fastest of {turns}.

{table(["command", "first run, s", "fastest, s", "fastest, processor s"], rows)}

Measured by `make bench-install` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores with a load
of {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, {platform.platform()}.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        text = report(Environment(Path(folder)), options.turns)
    print(text)
    replace_part(PAGE, WRITER, text)


if __name__ == "__main__":
    main()
