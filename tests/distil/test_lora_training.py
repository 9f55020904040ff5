from pathlib import Path

import pytest
import torch

from rankprompt.distil.lora_config import LoraConfig
from rankprompt.distil.lora_lessons import Lesson, PromptRow, Prompts, log_odds
from rankprompt.distil.lora_schedule import LoraLessons, Schedule
from rankprompt.distil.lora_training import train
from rankprompt.distil.pairs import Taught
from rankprompt.errors import InputError, ModelError
from rankprompt.llm.local.trainable import TrainableModel
from rankprompt.prompts.prompt import Prompt, load_prompt
from rankprompt.types import Document, PairwiseQuestion, Query
from tests.distil.teaching import YES_NO
from tests.limits import full_disk
from tests.llm.rerankers.heads import save_base

pytest.importorskip("peft", reason="peft is not installed")

FEW = LoraConfig(epochs=8, learning_rate=5e-3)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("student") / "llama")


@pytest.fixture(scope="module")
def grades(tmp_path_factory: pytest.TempPathFactory) -> Prompt:
    path = tmp_path_factory.mktemp("prompts") / "grades.toml"
    path.write_text(YES_NO)
    return load_prompt(str(path))


def model(student: Path) -> TrainableModel:
    return TrainableModel(str(student), dtype="float32", threads=1)


def pairs(queries: int = 4) -> list[Taught]:
    """Pairs of a passage about a river, which is the better one, and another one."""
    return [
        Taught(
            PairwiseQuestion(
                Query(f"q{query}", "where is the mill"),
                Document(f"r{place}", f"the river river {query}"),
                Document(f"b{place}", f"boats in the morning {place}"),
            ),
            0.95,
        )
        for query in range(queries)
        for place in range(10)
    ]


def lessons_of(found: TrainableModel, prompt: Prompt) -> LoraLessons:
    prompts = Prompts(found, prompt)
    lessons = prompts.add(pairs())
    return LoraLessons(prompts.rows, prompts.ordered, lessons[:30], lessons[30:])


@pytest.mark.parametrize("kind", ["choice", "grades"])
def test_what_the_teacher_prefers_is_learnt(
    student: Path, grades: Prompt, tmp_path: Path, kind: str
) -> None:
    found = model(student)
    lessons = lessons_of(found, load_prompt("prp") if kind == "choice" else grades)
    seen: list[int] = []
    state = train(found, lessons, FEW, 0, tmp_path / "a.checkpoint", seen.append)
    best = max(state.curve, key=lambda row: row.get("held_out", 0.0))
    assert best["held_out"] == 1.0
    assert best["held_out_loss"] < state.curve[0]["held_out_loss"] / 2
    schedule = Schedule(lessons, FEW, 0)
    if not state.stopped:
        assert sum(seen) == schedule.tokens
    # The weights are those of the best validation.
    with torch.no_grad():
        odds = log_odds(found, lessons.rows)
    for one in schedule.validated:
        first, second = (float(odds[place]) for place in one.prompts)
        assert (first - second if kind == "grades" else first) > 0
        assert kind == "grades" or second < 0
    assert ("inconsistent" in best) == (kind == "choice")


@pytest.mark.parametrize(("dtype", "rounding"), [("float32", 1e-4), ("bfloat16", 0.05)])
def test_the_gradient_ends_above_the_lower_half_and_starts_from_the_plain_model(
    student: Path, dtype: str, rounding: float
) -> None:
    found = TrainableModel(str(student), dtype=dtype, threads=1)
    lessons = lessons_of(found, load_prompt("prp"))
    with torch.no_grad():
        plain = log_odds(found, lessons.rows)
        found.add_adapter(4, 2, seed=1)
        begun = log_odds(found, lessons.rows)
    assert begun.tolist() == pytest.approx(plain.tolist(), abs=rounding)
    log_odds(found, lessons.rows[:4]).sum().backward()  # type: ignore[no-untyped-call]
    assert all(one.dtype == torch.float32 for one in found.weights)
    trained = [name for name, one in found.adapted.named_parameters() if one.requires_grad]
    assert all(one.grad is not None for one in found.weights)
    assert trained
    assert all("layers.1." in name for name in trained)
    kinds = {name.split(".")[-4] for name in trained if "lora_A" in name}
    assert kinds == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_padding_changes_only_the_rounding(student: Path) -> None:
    found = model(student)
    rows = lessons_of(found, load_prompt("prp")).rows[:3]
    rows = [*rows, PromptRow(rows[0].tokens[:20], rows[0].options)]
    with torch.no_grad():
        together = log_odds(found, rows)
        alone = torch.cat([log_odds(found, [row]) for row in rows])
    assert together.tolist() == pytest.approx(alone.tolist(), abs=1e-4)


class EndedError(Exception):
    pass


def interrupted(found: TrainableModel, lessons: LoraLessons, path: Path, calls: int) -> None:
    """Trains until progress was told so often."""

    def end(_: int) -> None:
        nonlocal calls
        calls -= 1
        if not calls:
            raise EndedError

    with pytest.raises(EndedError):
        train(found, lessons, FEW, 0, path, end)


def weights(found: TrainableModel) -> list[torch.Tensor]:
    return [one.detach().clone() for one in found.weights]


def test_a_training_that_was_interrupted_comes_to_the_same_weights(
    student: Path, tmp_path: Path
) -> None:
    whole = model(student)
    lessons = lessons_of(whole, load_prompt("prp"))
    expected = train(whole, lessons, FEW, 0, tmp_path / "whole.checkpoint")
    path = tmp_path / "a.checkpoint"
    interrupted(model(student), lessons, path, 6)
    assert path.is_file()
    again = model(student)
    found = train(again, lessons, FEW, 0, path)
    assert all(map(torch.equal, weights(again), weights(whole)))
    assert repr(found.curve) == repr(expected.curve)


def test_a_checkpoint_of_another_training_is_refused_and_stays(
    student: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.checkpoint"
    found = model(student)
    lessons = lessons_of(found, load_prompt("prp"))
    interrupted(found, lessons, path, 6)
    before = path.read_bytes()
    others = [
        (lessons, FEW, 1),
        (lessons, LoraConfig(epochs=2, learning_rate=5e-3), 0),
        (lessons._replace(learned=lessons.learned[:20]), FEW, 0),
    ]
    for lesson, config, seed in others:
        with pytest.raises(InputError, match="a checkpoint of a training with other settings"):
            train(model(student), lesson, config, seed, path)
    # A disk that is full by now leaves it as it is, too.
    with pytest.raises(InputError, match=r"cannot write .*a\.checkpoint"), full_disk(1000):
        train(model(student), lessons, FEW, 0, path)
    assert path.read_bytes() == before


def test_a_training_that_diverges_keeps_what_came_before(student: Path, tmp_path: Path) -> None:
    found = model(student)
    lessons = lessons_of(found, load_prompt("prp"))
    path = tmp_path / "a.checkpoint"
    wild = LoraConfig(epochs=8, learning_rate=1e30)
    with pytest.raises(ModelError, match="not a number; try a lower `learning_rate` than 1e\\+30"):
        train(found, lessons, wild, 0, path)


def test_the_rate_rises_and_falls(student: Path) -> None:
    lessons = lessons_of(model(student), load_prompt("prp"))
    many = lessons._replace(learned=[*lessons.learned] * 40)
    schedule = Schedule(many, FEW, 0)
    rates = [schedule.rate(step) for step in range(1, len(schedule.steps) + 1)]
    top = rates.index(max(rates))
    assert max(rates) == FEW.learning_rate
    assert 0 < top < len(rates) / 10
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < FEW.learning_rate / 100


def test_options_of_several_tokens_are_refused(student: Path) -> None:
    prompt = load_prompt("relevance-yes-no")
    with pytest.raises(InputError, match="more than one token tells its options 'Yes' and 'No'"):
        lessons_of(model(student), prompt)


def test_pairs_of_equal_texts_teach_nothing(student: Path) -> None:
    (one, *_) = pairs()
    query, first, second = one.question
    same = Taught(PairwiseQuestion(query, first, Document("other", first.text)), 0.9)
    turned = Taught(PairwiseQuestion(query, second, first), 0.05)
    prompts = Prompts(model(student), load_prompt("prp"))
    found = prompts.add([one, same, turned])
    assert found == [Lesson("q0", (0, 1), 0.95), Lesson("q0", (1, 0), 0.05)]
    assert len(prompts.rows) == 3
