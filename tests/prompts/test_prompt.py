from pathlib import Path

import pytest

from rankprompt.errors import FormatError, InputError, UnknownNameError
from rankprompt.prompts.prompt import SHIPPED, Prompt, load_prompt
from rankprompt.prompts.template import parse_template

CHOICE = 'kind = "choice"\ntext = "{query}: {first} or {second}?"\noptions = ["A", "B"]\n'
CONTRAST = (
    'kind = "contrast"\ntext = "A {first} B {second}. For {label}:"\n'
    'target = " {query}"\noptions = ["A", "B"]\n'
)
LIKELIHOOD = 'kind = "likelihood"\ntext = "{passage}"\ntarget = " {query}"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prompt.toml"


def load(path: Path, content: str) -> Prompt:
    path.write_text(content, "utf-8")
    return load_prompt(str(path))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_prompt_holds_what_its_kind_needs(name: str) -> None:
    prompt = load_prompt(name)
    assert prompt.name == name
    assert prompt.description
    slots = {
        "choice": {"query", "first", "second"},
        "contrast": {"first", "second", "label"},
        "likelihood": {"passage"},
        "grades": {"query", "passage"},
        "selection": {"query", "passages"},
        "listing": {"query", "passages"},
    }[prompt.kind]
    assert slots <= prompt.text.slots <= slots | {"query", "number"}
    numbers = {"choice": {2}, "contrast": {2}, "grades": {2, 4}}
    assert len(prompt.options) in numbers.get(prompt.kind, {0})
    scored = prompt.kind in ("contrast", "likelihood")
    assert prompt.target.slots == ({"query"} if scored else set())


def test_the_shipped_prompts_are_the_files_in_the_folder() -> None:
    folder = Path(__file__).parent.parent.parent / "rankprompt" / "prompts"
    assert list(SHIPPED) == sorted(file.stem for file in folder.glob("*.toml"))
    assert "prp" in SHIPPED


def test_the_evolved_prompt_is_the_default_with_tokens_pruned_and_tells_how_it_was_made() -> None:
    seed = load_prompt("query-likelihood-demonstrations")
    evolved = load_prompt("query-likelihood-evolved")
    letters = iter(str(seed.text))
    assert all(letter in letters for letter in str(evolved.text))
    assert len(str(evolved.text)) < len(str(seed.text))
    assert (evolved.kind, str(evolved.target), evolved.prior, evolved.chat) == (
        seed.kind, str(seed.target), seed.prior, seed.chat
    )  # fmt: skip
    file = (
        Path(__file__).parent.parent.parent
        / "rankprompt"
        / "prompts"
        / "query-likelihood-evolved.toml"
    )
    record = [line for line in file.read_text("utf-8").splitlines() if line.startswith("#")]
    for word in ("seed 0", "100 evaluations", "to calibrate", "winner on test", "p = "):
        assert any(word in line for line in record), word


def test_prp_is_the_published_prompt_to_the_letter() -> None:
    prompt = load_prompt("prp")
    assert prompt.kind == "choice"
    assert prompt.text.fill(query="Q?", first="One.", second="Two.") == (
        "Given a query Q?, which of the following two passages is more relevant to the query?\n"
        "\n"
        "Passage A: One.\n"
        "\n"
        "Passage B: Two.\n"
        "\n"
        "Output Passage A or Passage B:"
    )
    assert [option.strip() for option in prompt.options] == ["Passage A", "Passage B"]


def test_a_file_is_read_with_its_settings(path: Path) -> None:
    prompt = load(path, CHOICE + 'chat = true\nmax_tokens = 3\ndescription = "d"\nsource = "s"\n')
    assert prompt == Prompt(
        name=str(path),
        kind="choice",
        text=parse_template("{query}: {first} or {second}?"),
        target=parse_template(""),
        options=("A", "B"),
        chat=True,
        max_tokens=3,
        description="d",
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_a_prompt_says_how_both_orders_are_concluded(path: Path, name: str) -> None:
    prompt = load_prompt(name)
    hard = prompt.kind == "choice" and name != "duot5"
    assert prompt.decide == ("agreement" if hard else "soft")
    assert load(path, CHOICE + 'decide = "soft"\n').decide == "soft"


@pytest.mark.parametrize("content", [CHOICE, CONTRAST, LIKELIHOOD])
def test_each_kind_loads_with_its_defaults(path: Path, content: str) -> None:
    prompt = load(path, content)
    assert not prompt.chat
    assert prompt.max_tokens == 8
    assert prompt.description == ""
    assert hash(prompt) == hash(load_prompt(str(path)))


@pytest.mark.parametrize("content", [CONTRAST, LIKELIHOOD])
def test_a_scored_query_may_stand_in_the_text_too(path: Path, content: str) -> None:
    prompt = load(path, content.replace('text = "', 'text = "{query} '))
    assert "query" in prompt.text.slots


def test_a_byte_order_mark_and_windows_lines_are_no_trouble(path: Path) -> None:
    plain = load(path, CHOICE.replace("or", "\\n"))
    path.write_bytes(b"\xef\xbb\xbf" + CHOICE.replace("or", "\\n").replace("\n", "\r\n").encode())
    assert load_prompt(str(path)) == plain


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            CHOICE + 'txt = "a"\n',
            "unknown key 'txt'; known: answer, chat, decide, description, grades",
        ),
        ("", "kind must be choice, contrast, .*listing, not ''"),
        ('kind = "Choice"\n', "not 'Choice'"),
        ("kind = 1\n", "kind must be a text"),
        ('kind = "choice"\ntext = ["a"]\n', "text must be a text"),
        (LIKELIHOOD.replace('" {query}"', "7"), "target must be a text"),
        (CHOICE + "description = 1\n", "description must be a text"),
        (CHOICE.replace("{query}", "{query"), "a lone '{'"),
        (CHOICE.replace("{query}", ""), "text lacks the slot {query}"),
        (CHOICE.replace("{first}", ""), "text lacks the slot {first}"),
        (CHOICE.replace("{second}", "second"), "text lacks the slot {second}"),
        (CHOICE.replace("{second}", "{{second}}"), "text lacks the slot {second}"),
        (CHOICE.replace("text", "description"), "text lacks the slot {first}"),
        (
            CHOICE.replace("or", "{third}"),
            "text has an unknown slot {third}; known here: first, instruction, query, second",
        ),
        (CHOICE + 'target = "a"\n', "a choice has options, not a target"),
        (CHOICE + 'target = "{query}"\n', "target has an unknown slot {query}; known here: none"),
        (CONTRAST.replace("{label}", ""), "text lacks the slot {label}"),
        (CONTRAST.replace("{first}", ""), "text lacks the slot {first}"),
        (CONTRAST.replace("{query}", ""), "target lacks the slot {query}"),
        (CONTRAST.replace("{query}", "{query} {first}"), "target has an unknown slot {first}"),
        (LIKELIHOOD.replace("{passage}", ""), "text lacks the slot {passage}"),
        (LIKELIHOOD.replace("{passage}", "{passage} {first}"), "text has an unknown slot {first}"),
        (LIKELIHOOD.replace("{query}", ""), "target lacks the slot {query}"),
        (LIKELIHOOD.replace("target", "description"), "target lacks the slot {query}"),
        (CHOICE.replace('["A", "B"]', '"AB"'), "options must be a list of texts"),
        (CHOICE.replace('"B"', "1"), "options must be a list of texts"),
        (CHOICE.replace(', "B"', ""), "a choice has 2 different options, not 1"),
        (CHOICE.replace('"B"', '"B", "C"'), "a choice has 2 different options, not 3"),
        (CHOICE.replace('"B"', '" A"'), "a choice has 2 different options"),
        (CHOICE.replace('"B"', '" "'), "an option is blank"),
        (CHOICE.replace("options", "# options"), "a choice has 2 different options, not 0"),
        (CONTRAST.replace(', "B"', ""), "a contrast has 2 different options, not 1"),
        (LIKELIHOOD + 'options = ["A"]\n', "a likelihood has 0 different options, not 1"),
        (CHOICE + 'chat = "yes"\n', "chat must be true or false"),
        (CHOICE + "chat = 1\n", "chat must be true or false"),
        (CHOICE + 'decide = "hard"\n', "decide must be agreement or soft, not 'hard'"),
        (CHOICE + "decide = 1\n", "decide must be a text"),
        (CHOICE + 'instruction = "x"\n', "instruction goes with the slot {instruction} in text"),
        (
            CHOICE.replace("or", "{instruction}") + "instruction = 1\n",
            "instruction must be a text",
        ),
        (CHOICE + "max_tokens = 0\n", "max_tokens must be a whole number from 1"),
        (CHOICE + "max_tokens = 2.0\n", "max_tokens must be a whole number from 1"),
        (CHOICE + "max_tokens = true\n", "max_tokens must be a whole number from 1"),
        ("kind = choice\n", "not a TOML file: .*line 1"),
        (CHOICE + 'kind = "choice"\n', "not a TOML file"),
    ],
)
def test_a_file_that_is_no_prompt_is_told(path: Path, content: str, problem: str) -> None:
    with pytest.raises(FormatError, match=rf"prompt\.toml: .*{problem}") as caught:
        load(path, content)
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_no_text_is_told(path: Path) -> None:
    path.write_bytes(b"kind = '\xff\xfe'")
    with pytest.raises(FormatError, match="not a TOML file"):
        load_prompt(str(path))


def test_an_unknown_prompt_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown prompt 'prpp'; did you mean 'prp'.*TOML"):
        load_prompt("prpp")
    for absent in (str(tmp_path), str(tmp_path / "absent.toml"), ""):
        with pytest.raises(UnknownNameError, match="unknown prompt"):
            load_prompt(absent)


def test_a_file_that_cannot_be_read_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path.write_text(CHOICE)
    monkeypatch.setattr(Path, "read_text", refuse)  # root may read everything
    with pytest.raises(InputError, match=r"cannot read .*prompt\.toml: Permission denied"):
        load_prompt(str(path))


SELECTION = (
    'kind = "selection"\ntext = "{query}: {passages}?"\npassage = "{label} {passage}"\n'
    'answer = " {label}"\n'
)
GRADES = (
    'kind = "grades"\ntext = "{query}: {passage}?"\noptions = ["yes", "so", "no"]\n'
    "grades = [1, 0.5, 0]\n"
)


def test_prompts_about_one_passage_and_about_several(path: Path) -> None:
    prompt = load(path, GRADES)
    assert prompt.grades == (1.0, 0.5, 0.0)
    prompt = load(path, SELECTION.replace("{query}", "{query} of {number}"))
    assert (prompt.labels, str(prompt.answer)) == ("letters", " {label}")
    prompt = load(path, SELECTION.replace("selection", "listing") + 'labels = "numbers"\n')
    assert (prompt.kind, prompt.labels) == ("listing", "numbers")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (GRADES.replace("1, 0.5, 0", "1, 0"), "grades go with kind grades, one for each option"),
        (GRADES.replace("0.5", '"a"'), "grades must be a list of numbers"),
        (GRADES.replace("0.5", "true"), "grades must be a list of numbers"),
        (GRADES.replace('"so"', '"no "'), "two or more different options"),
        (GRADES + 'target = "x"\n', "a grades has options, not a target"),
        (CHOICE + "grades = [1, 0]\n", "grades go with kind grades"),
        (CHOICE + 'labels = "letters"\n', "go with selection and listing, not choice"),
        (CHOICE + 'passage = "{label}"\n', "go with selection and listing, not choice"),
        (SELECTION.replace("{passages}", "{passage}"), "text lacks the slot {passages}"),
        (SELECTION.replace("{label} {passage}", "{passage}"), "passage lacks the slot {label}"),
        (SELECTION.replace('" {label}"', '"it"'), "answer lacks the slot {label}"),
        (SELECTION + 'labels = "runes"\n', "labels must be letters or numbers, not 'runes'"),
        (SELECTION + 'options = ["A", "B"]\n', "a selection has 0 different options, not 2"),
        (SELECTION + 'target = "x"\n', "a selection has labels, not a target"),
    ],
)
def test_a_file_that_is_no_prompt_about_passages_is_told(
    path: Path, content: str, problem: str
) -> None:
    with pytest.raises(FormatError, match=rf"prompt\.toml: .*{problem}"):
        load(path, content)
