import json
from pathlib import Path

import pytest

from rankprompt.errors import RankpromptError
from rankprompt.search.splits import read_examples, split_examples
from rankprompt.search.task_types import ExampleTask, RankingTask
from rankprompt.search.tasks import load_task
from tests.search.worlds import RANKING, TASK, write_ranking, write_task

EXAMPLES = Path(__file__).parent.parent.parent / "search" / "examples"


def example_task(path: Path) -> ExampleTask:
    task = load_task(path)
    assert isinstance(task, ExampleTask)
    return task


def test_a_task_is_read(tmp_path: Path) -> None:
    task = example_task(write_task(tmp_path))
    assert (task.inputs, task.answer, task.label) == (("text",), "label", "label")
    assert (task.train, task.metric) == (tmp_path / "train.jsonl", "reward")
    assert task.verbalisers == {"bad": "gloomy", "good": "cheerful"}
    assert (task.splits.search, task.splits.test) == (4, 0)


def test_a_ranking_task_is_read(tmp_path: Path) -> None:
    task = load_task(write_ranking(tmp_path))
    assert isinstance(task, RankingTask)
    assert (task.depth, task.splits.search, task.prompt) == (5, 2, "prp-demonstrations")


def test_a_seed_prompt_is_found_beside_the_task_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("")
    for name, found in (("mine.toml", str(tmp_path / "mine.toml")), ("prp", "prp")):
        task = load_task(write_ranking(tmp_path, f'prompt = "{name}"\n{RANKING}'))
        assert isinstance(task, RankingTask)
        assert task.prompt == found


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_the_examples_are_tasks(path: Path) -> None:
    load_task(path)


@pytest.mark.parametrize("name", ["sst2", "subj", "snli", "piqa", "gsm8k"])
def test_the_examples_fit_the_data_that_they_are_for(name: str, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    text = (EXAMPLES / f"{name}.toml").read_text()
    path.write_text(text.replace(f'"{name}/', f'"{data.resolve()}/tasks/{name}/'))
    task = example_task(path)
    found = split_examples(task, 0)
    assert len(found.search) == task.splits.search
    assert len(found.calibration) == task.splits.calibration
    assert len(found.test) == task.splits.test or not task.splits.test


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "classification"', 'kind = "classify"', "did you mean 'classification'?"),
        ('kind = "classification"\n', "", "unknown kind 'None'"),
        ("search = 4", "serach = 4", "did you mean 'search'?"),
        ('dev = "dev', 'deff = "dev', "unknown key 'deff'"),
        ('train = "train.jsonl"\n', "", "lacks the key 'train'"),
        ('train = "train.jsonl"', "train = 3", "train must be a file's name, not 3"),
        ('train = "train', 'train = "a\\u0000b', "train must be a file's name, not 'a\\x00b"),
        ("search = 4", "search = true", "search must be a whole number, not True"),
        ("search = 4", "search = 0", "search must be at least 1, not 0"),
        ('dev = "dev.jsonl"', 'dev = "train.jsonl"', "they would overlap"),
        ("Review: {text}\\n", "", "needs a slot for the input"),
        ("{label}", "{label} .", "must end with the answer's slot, not with ' .'"),
        ("{text}", "{text", "a lone '{'"),
        ("{text}", "{label}", "{label} stands in the input"),
        ('bad = "gloomy"', "", "two verbalisers or more"),
        ('"gloomy"', '"cheerful"', "have one verbaliser, 'cheerful'"),
        ('"gloomy"', '"cheer"', "'cheer' of 'bad' begins 'cheerful' of 'good'"),
        ('"gloomy"', '" "', "blank"),
        ("[verb", 'metric = "f1"\n[verb', "unknown metric 'f1'"),
        ("[splits]", '[splits]\noverlap = "keep"', "unknown overlap 'keep'"),
        ("[splits]", "[splits", "not a TOML file"),
    ],
)  # fmt: skip
def test_a_task_that_cannot_work_is_refused_in_one_line(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in TASK
    path = write_task(tmp_path, TASK.replace(old, new, 1))
    with pytest.raises(RankpromptError) as caught:
        load_task(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('run = "run.trec"\n', "", "lacks the key 'run'"),
        ("triples = 2", "shots = 2", "unknown key 'shots'"),
        ("triples = 2", 'method = "heapsrt"', "did you mean 'heapsort'?"),
        ("triples = 2", 'method = "listwise"', "unknown method of pairs 'listwise'"),
        ("depth = 5", "depth = 1", "depth must be at least 2"),
    ],
)
def test_so_is_a_ranking(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = write_ranking(tmp_path, RANKING.replace(old, new, 1))
    with pytest.raises(RankpromptError) as caught:
        load_task(path)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"text": "a"}\n', "train.jsonl:1: no column 'label'; there are text"),
        ('{"text": "a", "label": "so"}\n', "no verbaliser for the label 'so'; known: 'bad', 'goo"),
        ('{"text": "a", "label": "bad"}\n{"te\n', "train.jsonl:2: malformed JSON"),
        (
            '{"text": "a", "label": "bad"}\n{"text": ' + "[" * 100_000,
            "train.jsonl:2: malformed JSON",
        ),
        ('{"text": "a\\udc00", "label": "bad"}\n', "train.jsonl:1: half a surrogate pair"),
        ('{"text": ["a", "\\ud800"], "label": "bad"}\n', "train.jsonl:1: half a surrogate pair"),
        ("[1]\n", "train.jsonl: the file holds no example"),
        ("text\tlabel\ttext\na\tbad\tb\n", "train.jsonl:1: two columns have the name 'text'"),
        ('{"text": null, "label": "bad"}\n', "train.jsonl:1: the column 'text' is blank"),
        ('{"text": NaN, "label": "bad"}\n', "train.jsonl:1: the column 'text' is blank"),
        ('{"text": " \\n", "label": "bad"}\n', "train.jsonl:1: the column 'text' is blank"),
        ('{"text": "a", "label": null}\n', "train.jsonl:1: the column 'label' is blank"),
        ("text\tlabel\n\tbad\n", "train.jsonl:2: the column 'text' is blank"),
        ("text\tlabel\na\tbad\tc\n", "train.jsonl:2: expected 2 columns"),
        ("", "the file holds no example"),
        ('{"text": "test 3", "label": "bad"}\n' * 1, "test.jsonl:4 holds the input of"),
        ('{"text": "a", "label": "bad"}\n', "too few examples"),
    ],
)
def test_so_are_data(tmp_path: Path, content: str, said: str) -> None:
    task = example_task(write_task(tmp_path))
    task.train.write_text(content)
    with pytest.raises(RankpromptError) as caught:
        split_examples(task, 0)
    assert said in str(caught.value)


def test_whole_labels_of_a_column_with_gaps_are_read(tmp_path: Path) -> None:
    text = TASK.replace('bad = "gloomy"', '0 = "gloomy"').replace('good = "ch', '1 = "ch')
    task = example_task(write_task(tmp_path, text))
    task.train.write_text(
        '{"text": "a", "label": 0.0, "more": null}\n'
        '{"text": "b", "label": 1}\n{"text": "c", "label": "1.0"}\n'
    )
    assert [example.label for example in read_examples(task.train, task)] == ["0", "1", "1"]
    task.train.write_text('{"text": "a", "label": 0.5}\n')
    with pytest.raises(RankpromptError, match=r"no verbaliser for the label '0\.5'"):
        read_examples(task.train, task)
    text = TASK.replace('bad = "gloomy"', '"1.0" = "gloomy"').replace('good = "ch', '1 = "ch')
    task = example_task(write_task(tmp_path, text))
    task.train.write_text('{"text": "a", "label": 1.0}\n')
    assert [example.label for example in read_examples(task.train, task)] == ["1.0"]


def test_too_few_of_a_class_are_refused(tmp_path: Path) -> None:
    task = example_task(write_task(tmp_path))
    rows = [{"text": f"t {n}", "label": "good" if n < 2 else "bad"} for n in range(12)]
    task.train.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(RankpromptError, match="too few examples of 'good': 2 for search"):
        split_examples(task, 0)


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("test", [0, 3])
def test_no_input_is_in_two_splits(tmp_path: Path, alone: bool, test: int) -> None:
    text = TASK.replace("search = 4", f"search = 4\ntest = {test}")
    if alone:
        text = text.replace('dev = "dev.jsonl"\ntest = "test.jsonl"\n', "")
    task = example_task(write_task(tmp_path, text, (16, 8, 6)))
    for seed in range(20):
        found = split_examples(task, seed)
        everybody = [one.values["text"] for part in found for one in part]
        assert len(everybody) == len(set(everybody))
        assert [len(part) for part in found[:3]] == [2, 4, 4]
        assert len(found.test) == (test or 6)
        for part in found[:3]:
            assert sum(one.label == "bad" for one in part) == len(part) / 2


def test_seeds_share_calibration_and_test_and_nothing_else(tmp_path: Path) -> None:
    task = example_task(write_task(tmp_path, sizes=(40, 40, 6)))
    one, other = split_examples(task, 1), split_examples(task, 2)
    assert (one.calibration, one.test) == (other.calibration, other.test)
    assert one.demonstrations != other.demonstrations
    assert one.search != other.search


def test_what_stands_in_two_files_can_be_left_out_of_the_later(tmp_path: Path) -> None:
    text = TASK.replace("[splits]", '[splits]\noverlap = "drop"')
    task = example_task(write_task(tmp_path, text))
    assert task.test is not None
    task.test.write_text('{"text": "train 1", "label": "good"}\n' + task.test.read_text())
    assert len(split_examples(task, 0).test) == 6


def test_lists_give_a_slot_an_entry_and_tables_have_a_header(tmp_path: Path) -> None:
    text = TASK.replace("{text}", "{text}? {ways_1} or {ways_2}").replace("bad =", "0 =")
    task = example_task(write_task(tmp_path, text.replace("good =", "1 =")))
    row = {"text": "t", "ways": ["left", "right"], "label": 1}
    rows = [{**row, "text": f"t{n}", "label": n % 2} for n in range(12)]
    task.train.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for path in (task.dev, task.test):
        assert path is not None
        lines = [f"{path.stem}{n}\tup\tdown\t{n % 2}\n" for n in range(8)]
        path.write_text("text\tways_1\tways_2\tlabel\n" + "".join(lines))
    found = split_examples(task, 0)
    assert found.search[0].values["ways_2"] == "right"
    assert found.test[0].values["ways_2"] == "down"
    assert {one.values["label"] for one in found.search} == {"gloomy", "cheerful"}
