import json
import sys
from pathlib import Path

import pytest

from rankprompt.errors import InputError, RankpromptError
from rankprompt.llm.base import Answer, Request
from rankprompt.search import SeedPrompt
from rankprompt.search.fitness.generation import GenerationProblem
from rankprompt.search.fitness.metrics import (
    exact_match,
    exact_number,
    last_number,
    load_metric,
    token_f1,
)
from rankprompt.search.tasks import load_task
from tests.fakes import FakeModel
from tests.search.toys import words
from tests.search.worlds import problem_of, scorer_of


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3 + 4 = 7.", "7"),
        ("so $1,200.50 in all", "1200.5"),
        ("it is -3", "-3"),
        ("it is \u22123.0 degrees", "-3"),
        ("007", "7"),
        ("0.0", "0"),
        ("-0", "0"),
        ("none", None),
        ("1. first 2. second", "2"),
        (".5", "0.5"),
    ],
)
def test_the_last_number(text: str, number: str | None) -> None:
    assert last_number(text) == number


def test_written_answers_are_compared() -> None:
    assert exact_number("The answer is 12.0", "12") == 1
    assert exact_number("no idea", "12") == 0
    assert exact_match("The  Sea!", "the sea") == 1
    assert exact_match("the seas", "the sea") == 0
    assert token_f1("the blue sea", "the sea") == pytest.approx(0.8)
    assert token_f1("", "the sea") == 0
    assert token_f1("", "") == 1


def write_questions(folder: Path, keys: str) -> Path:
    rows = [{"q": f"{part} {n}", "how": f"by {n}", "a": str(n)} for part in "xyz" for n in range(8)]
    for name, part in (("train", "x"), ("dev", "y"), ("test", "z")):
        (folder / f"{name}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows if row["q"].startswith(part))
        )
    path = folder / "task.toml"
    path.write_text(
        f'{keys}\ntrain = "train.jsonl"\ndev = "dev.jsonl"\ntest = "test.jsonl"\n'
        'template = "Q: {q}\\nA: {how}"\nlabel = "a"\nshots = 2\n[splits]\nsearch = 4\n'
        "calibration = 4\n"
    )
    return path


def repeats(request: Request) -> Answer:
    number = request.prompt.removesuffix("\nA:").split()[-1]
    return Answer(text=f" It is {number}.\n\nQ: x 99\nA: by 99")


def scores(path: Path) -> dict[str, float]:
    scorer = scorer_of(path, FakeModel(repeats), GenerationProblem)
    seed = SeedPrompt(scorer.problem.segments, words)
    prompts = [str(seed.template(seed.whole))]
    (fitness,) = scorer(prompts)
    (found,) = scorer.measures(prompts, "search")
    assert fitness == next(iter(found.values()))
    return dict(found)


def test_what_is_written_ends_where_an_example_would_begin(tmp_path: Path) -> None:
    path = write_questions(tmp_path, 'kind = "math"')
    assert scores(path) == {"exact-number": 1}
    problem = problem_of(path)
    assert problem.labels == {"demonstrations": 2, "search": 4, "calibration": 4, "test": 8}


def test_rouge_l_is_the_library_s(tmp_path: Path) -> None:
    pytest.importorskip("rouge_score", reason="rouge-score is not installed")
    rouge_l = load_metric("rouge-l").score
    # The longest common subsequence is "the sea is": 2 * 3/4 * 3/5 / (3/4 + 3/5).
    assert rouge_l("The sea is blue", "the deep sea is calm") == pytest.approx(2 / 3)
    assert rouge_l("", "the sea") == 0
    path = write_questions(tmp_path, 'kind = "generation"\nmetric = "rouge-l"')
    assert scores(path) == pytest.approx({"rouge-l": 0.5, "token-f1": 0.5, "exact-match": 0})


def test_rouge_l_without_its_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    with pytest.raises(InputError, match=r"pip install 'rankprompt\[rouge\]'$"):
        load_metric("rouge-l")


METRICS = """\
def longer(written, right):
    return len(written) - len(right)

def fails(written, right):
    return {}[written]

text = "no function"
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"metrics_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(METRICS)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_metric_can_be_the_users_own(
    tmp_path: Path, own: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_questions(tmp_path, f'kind = "generation"\nmetric = "{own}:longer"')
    with caplog.at_level("INFO"):
        assert scores(path) == pytest.approx(
            {f"{own}:longer": 7, "token-f1": 0.5, "exact-match": 0}
        )
    assert f"{own}.py is imported and run by this process" in caplog.text
    # Another metric under the same name is another search.
    problem = problem_of(path)
    assert "metric" in problem.about
    (tmp_path / f"{own}.py").write_text(METRICS + "\n")
    assert problem_of(path).about != problem.about


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("no_such_module:f", "cannot be imported (ModuleNotFoundError: No module named"),
        ("OWN:shorter", "cannot be imported (AttributeError: "),
        ("OWN:text", "failed (TypeError: 'str' object is not callable) on 'It is"),
        ("OWN:fails", "failed (KeyError: 'It is"),
        ("math:log", "it must take two texts and give a number"),
    ],
)
def test_a_metric_that_fails_is_one_line(tmp_path: Path, own: str, metric: str, said: str) -> None:
    metric = metric.replace("OWN", own)
    path = write_questions(tmp_path, f'kind = "generation"\nmetric = "{metric}"')
    with pytest.raises(InputError) as caught:
        scores(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "metric"), [("math", "json:dumps"), ("generation", "dumps"), ("generation", "a b:c")]
)
def test_only_generation_takes_one_and_in_its_form(tmp_path: Path, kind: str, metric: str) -> None:
    path = write_questions(tmp_path, f'kind = "{kind}"\nmetric = "{metric}"')
    with pytest.raises(RankpromptError, match=f"unknown metric '{metric}'"):
        load_task(path)
