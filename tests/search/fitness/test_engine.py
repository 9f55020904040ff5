"""The engine computes a genome's prompt once, and its scores stay what they are."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tokenizers.normalizers import Lowercase

from rankprompt.errors import ModelError
from rankprompt.journal.cached_model import CachedModel, Reply
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.base import softmax
from rankprompt.llm.base import Request
from rankprompt.llm.local.model import LocalModel, load
from rankprompt.llm.tokenizer_offsets import model_offsets
from rankprompt.pipeline.config import ModelConfig
from rankprompt.search import EvolveConfig, SearchConfig, SeedPrompt
from rankprompt.search.evolution import run_evolution
from rankprompt.search.fitness.registry import make_problem
from rankprompt.search.operators import random_genome
from rankprompt.search.tasks import load_task
from tests.llm import tiny
from tests.search.worlds import TASK, write_task

ONE_AT_A_TIME: dict[str, Any] = {"prefix_bytes": 0, "batch_tokens": 1}


class Keeping(CachedModel):
    """Keeps the answers of the last chunk."""

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        replies = super().answer(requests)
        self.kept = [one.answer.loglikelihoods for one in replies if one.answer]
        return replies


def check(path: Path, name: str, genomes: int) -> None:
    scores, usages, said = [], [], []
    for settings in ONE_AT_A_TIME, {}:
        model: LocalModel = load(name, dtype="float32", device="cpu", threads=1, **settings)
        answering = Keeping(model, Journal(None))
        problem = make_problem(load_task(path), SearchConfig())
        seed = SeedPrompt(problem.segments, model_offsets(name))
        rng, size = random.Random(0), len(seed.genes)
        prompts = [seed.template(random_genome(size, size // 2, rng)) for _ in range(genomes)]
        scores.append(problem.fitness(answering, prompts, share=1.0))
        usages.append(answering.costs)
        said.append(answering.kept)
    assert len(said[0]) == genomes * 8
    assert len(set(scores[0])) == genomes
    for found, answers, usage in zip(scores[1:], said[1:], usages[1:], strict=True):
        for one, other in zip(said[0], answers, strict=True):
            assert one == pytest.approx(other, abs=1e-4)
            assert softmax(one) == pytest.approx(softmax(other), abs=1e-4)
        # A reward is up to 200 times a gap between two probabilities.
        assert scores[0] == pytest.approx(found, abs=200 * 1e-4)
        assert (usages[0].reused, usage.reused > 0) == (0, True)
        assert usage.tokens + usage.reused == usages[0].tokens
        assert usage.padding == 0


def test_prefix_reuse_changes_no_score(tmp_path: Path) -> None:
    words = tiny.tokenizer()
    tiny.save(tmp_path / "model", tiny.llama(max_position_embeddings=512), words)
    path = write_task(tmp_path, TASK.replace("search = 4", "search = 8"))
    check(path, str(tmp_path / "model"), 6)


@pytest.mark.model
def test_nor_with_the_real_model(tmp_path: Path) -> None:
    from rankprompt.llm.embedded import converted_folder

    path = write_task(tmp_path, TASK.replace("search = 4", "search = 8"))
    check(path, str(converted_folder()), 4)


def test_verbalisers_of_the_same_tokens_are_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    words = tiny.tokenizer()
    words.backend_tokenizer.normalizer = Lowercase()
    tiny.save(tmp_path / "model", tiny.llama(max_position_embeddings=512), words)
    path = write_task(tmp_path, TASK.replace('"gloomy"', '"Cheerful"'))
    model = ModelConfig(name=str(tmp_path / "model"))
    config = EvolveConfig(path, tmp_path / "run", SearchConfig(), model)
    with pytest.raises(ModelError, match="' Cheerful' and ' cheerful' are the same tokens"):
        run_evolution(config)
    assert not config.output.exists()
