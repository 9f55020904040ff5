import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.judges.adapters.base import softmax
from rankprompt.llm.base import Answer, LanguageModel, Request
from rankprompt.prompts.template import parse_template
from rankprompt.search import SearchConfig, SeedPrompt
from rankprompt.search.fitness.base import piecewise_reward
from rankprompt.search.fitness.choice import ChoiceProblem
from tests.fakes import FakeModel
from tests.search.toys import words
from tests.search.worlds import TASK, Scorer, opinion, scorer_of, write_task

CONFIG = SearchConfig()


def choice_of(path: Path, model: LanguageModel) -> Scorer[ChoiceProblem]:
    return scorer_of(path, model, ChoiceProblem)


def test_shares_and_rewards_by_hand() -> None:
    shares = softmax([math.log(0.06), math.log(0.02)])  # most of the mass is elsewhere
    assert shares == pytest.approx([0.75, 0.25])
    assert piecewise_reward(shares, 0, CONFIG) == pytest.approx(100)
    assert piecewise_reward(shares, 1, CONFIG) == pytest.approx(-90)
    assert piecewise_reward([0.5, 0.2, 0.3], 0, CONFIG) == pytest.approx(40)
    assert piecewise_reward([0.5, 0.5], 0, CONFIG) == 0


@pytest.mark.parametrize("broken", [math.nan, -math.inf])
def test_what_is_no_probability_is_infeasible(broken: float) -> None:
    assert softmax([broken, broken]) is None
    assert math.isnan(piecewise_reward(None, 0, CONFIG))
    assert softmax([-math.inf, -3.0]) == (0, 1)


@given(st.lists(st.floats(-700, 0), min_size=2, max_size=5), st.data())
def test_the_reward_tells_right_from_wrong(scores: list[float], data: st.DataObject) -> None:
    right = data.draw(st.integers(0, len(scores) - 1))
    shares = softmax(scores)
    assert shares is not None
    assert sum(shares) == pytest.approx(1)
    others = [one for place, one in enumerate(shares) if place != right]
    reward = piecewise_reward(shares, right, CONFIG)
    assert (reward > 0) == (shares[right] > max(others))
    assert -180 - 1e-9 <= reward <= 200 + 1e-9


def test_the_seed_is_the_demonstrations_and_the_input_last(tmp_path: Path) -> None:
    problem = choice_of(write_task(tmp_path), FakeModel(opinion)).problem
    seed = SeedPrompt(problem.segments, words)
    one, other = problem.splits.demonstrations
    assert {one.label, other.label} == {"bad", "good"}
    mood = {"bad": "gloomy", "good": "cheerful"}
    assert str(seed.template(seed.whole)) == (
        f"Review: {one.values['text']}\nMood: {mood[one.label]}\n\n"
        f"Review: {other.values['text']}\nMood: {mood[other.label]}\n\n"
        "Review: {text}\nMood:"
    )
    nothing = (False,) * len(seed.genes)
    assert str(seed.template(nothing)) == "{text}"
    assert problem.options == (" gloomy", " cheerful")


def test_a_text_can_be_frozen(tmp_path: Path) -> None:
    text = TASK.replace("[verb", 'frozen = ["\\nMood:"]\n[verb')
    problem = choice_of(write_task(tmp_path, text), FakeModel(opinion)).problem
    seed = SeedPrompt(problem.segments, words)
    assert str(seed.template((False,) * len(seed.genes))) == "{text}\nMood:"


def test_scores_are_means_over_the_split(tmp_path: Path) -> None:
    model = FakeModel(opinion)
    scorer = choice_of(write_task(tmp_path), model)
    prompts = ["Odd? {text}", "{text}", "Really odd, is it not? {text}"]
    found = scorer(prompts)
    for prompt, score in zip(prompts, found, strict=True):
        gaps = [
            0.8 / (1 + len(prompt.replace("{text}", one.values["text"])) / 100)
            for one in scorer.problem.splits.search
        ]
        assert score == pytest.approx(sum(200 * gap for gap in gaps) / len(gaps))
    assert len(model.prompts) == 12
    assert [one["accuracy"] for one in scorer.measures(prompts, "test")] == [1, 1, 1]


def test_accuracy_can_be_the_fitness_and_a_tie_is_wrong(tmp_path: Path) -> None:
    text = TASK.replace("[verb", 'metric = "accuracy"\n[verb')
    even = FakeModel(lambda request: Answer((-1.0,) * len(request.options), (1, 1)))
    assert choice_of(write_task(tmp_path, text), even)(["{text}"]) == [0]
    gloomy = FakeModel(lambda _: Answer((-1.0, -2.0), (1, 1)))
    assert choice_of(write_task(tmp_path, text), gloomy)(["{text}"]) == [0.5]


def test_two_prompts_are_compared_example_by_example(tmp_path: Path) -> None:
    def rule(request: Request) -> Answer:
        fair = opinion(request)
        return fair if request.prompt.startswith("!") else Answer((-1.0, -2.0), (1, 1))

    scorer = choice_of(write_task(tmp_path), FakeModel(rule))
    prompts = ["{text}", "! {text}"]
    scorer.measures(prompts, "test")
    found = scorer.problem.comparison(*map(parse_template, prompts))
    assert found == {"measure": "accuracy", "wins": 3, "losses": 0, "mcnemar": pytest.approx(0.25)}


def test_a_prompt_without_a_finite_answer_is_infeasible(tmp_path: Path) -> None:
    def rule(request: Request) -> Answer:
        broken = Answer((math.nan, math.nan), (1, 1))
        return broken if request.prompt.startswith("!") else opinion(request)

    bad, good = choice_of(write_task(tmp_path), FakeModel(rule))(["! {text}", "{text}"])
    assert math.isnan(bad)
    assert good > 0


def test_examples_of_a_prompt_share_its_start(tmp_path: Path) -> None:
    model = FakeModel(opinion)
    choice_of(write_task(tmp_path), model)(["One two {{three}} {text}\nMood:"])
    assert len({one.prompt[: one.breaks[0]] for one in model.prompts}) == 1
    assert {one.prompt[: one.breaks[0]] for one in model.prompts} == {"One two {three}"}
