"""The engine computes a genome's prompt once, and its scores stay what they are."""

import random
from pathlib import Path

import pytest

from rankprompt.answering import Answering
from rankprompt.journal import Journal
from rankprompt.models.local import LocalModel, load
from rankprompt.search import SearchSettings, SeedPrompt, token_offsets
from rankprompt.search.fitness import make_problem
from rankprompt.search.operators import random_genome
from rankprompt.search.tasks import load_task
from tests.models import tiny
from tests.search.worlds import TASK, write_task


def check(path: Path, name: str, tokenizer: object, genomes: int) -> None:
    scores, usages = [], []
    for prefix_bytes in (0, 1 << 26):
        model: LocalModel = load(
            name, dtype="float32", device="cpu", prefix_bytes=prefix_bytes, threads=1
        )
        answering = Answering(model, Journal(None))
        problem = make_problem(load_task(path), answering, SearchSettings(), 0)
        seed = SeedPrompt(problem.segments, token_offsets(tokenizer))
        rng, size = random.Random(0), len(seed.genes)
        prompts = [seed.render(random_genome(size, size // 2, rng)) for _ in range(genomes)]
        scores.append(problem(prompts))
        usages.append(answering.costs)
    # In gaps between probabilities: the reward is 200 times as much, and so is float32's rounding.
    assert scores[0] == pytest.approx(scores[1], abs=200 * 1e-5)
    assert len(set(scores[0])) == genomes
    assert (usages[0].reused, usages[1].reused > 0) == (0, True)
    assert usages[1].tokens + usages[1].reused == usages[0].tokens


def test_prefix_reuse_changes_no_score(tmp_path: Path) -> None:
    words = tiny.tokenizer()
    tiny.save(tmp_path / "model", tiny.llama(max_position_embeddings=512), words)
    path = write_task(tmp_path, TASK.replace("search = 4", "search = 8"))
    check(path, str(tmp_path / "model"), words, 6)


@pytest.mark.model
def test_nor_with_the_real_model(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    from rankprompt.models.embedded import converted

    path = write_task(tmp_path, TASK.replace("search = 4", "search = 8"))
    name = str(converted())
    check(path, name, AutoTokenizer.from_pretrained(name), 4)
