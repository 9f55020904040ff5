"""Prompts, and the TOML files that define them.

A prompt file defines how a question is put to a model and how the answer is read. A prompt about
two passages is of one of these kinds:

* ``kind = "choice"``: ``text`` shows both passages ({first}, {second}) and the query; the model
  chooses between two ``options``, the first of which stands for {first}.
* ``kind = "contrast"``: ``text`` shows both passages and a {label}; the log-likelihoods of
  ``target`` (the query) under the two labels are compared. ``options`` are the labels.

About a single passage:

* ``kind = "likelihood"``: ``text`` shows a {passage}; the score is the log-likelihood of ``target``
  after it. Two passages can be compared by their scores, too.
* ``kind = "grades"``: ``text`` shows a {passage} and the query; the model chooses among
  ``options``, whose values are ``grades``, in the same order.

About several passages, each of which is shown as ``passage`` defines, under a {label} that is a
letter or a number (``labels``); ``text`` shows the query and all {passages}, and may contain their
{number}:

* ``kind = "selection"``: the model selects the most relevant passage.
* ``kind = "listing"``: the model orders the passages. ``max_tokens`` counts for each passage.

``answer`` defines how the model is to write a {label}.

Rerankers read a query and a passage by a template of their own. Their prompt is ``RELEVANCE``, of
kind "relevance", which no file can define.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path

from rankprompt.errors import UnknownNameError
from rankprompt.files.toml import read_toml
from rankprompt.prompts.template import Template, parse_template

__all__ = ["RELEVANCE", "SHIPPED", "Prompt", "load_prompt"]

# By kind: the slots that ``text`` must show.
_SLOTS = {
    "choice": {"query", "first", "second"},
    "contrast": {"first", "second", "label"},
    "likelihood": {"passage"},
    "grades": {"query", "passage"},
    "selection": {"query", "passages"},
    "listing": {"query", "passages"},
}
# The kinds that show several passages, each under a label.
_LABELLED = ("selection", "listing")
_KEYS = {
    "kind", "text", "target", "options", "grades", "passage", "answer", "labels", "chat",
    "max_tokens", "prior", "description", "source",
}  # fmt: skip
_EMPTY = Template(("",))


@dataclass(frozen=True)
class Prompt:
    """How a question is put to a model, and what the model may answer.

    Attributes:
        name: the shipped name, or the file's path.
        kind: "choice", "contrast", "likelihood", "grades", "selection", "listing", or "relevance"
            for a reranker.
        text: the text that the model reads.
        target: the text whose log-likelihood is the score (contrast, likelihood).
        options: the answers to choose among (choice, grades), or the passages' labels (contrast).
        chat: whether the text goes into the model's chat template, where it has one.
        max_tokens: the most tokens that the model writes where its answer is parsed from text; for
            a listing, the most for each passage.
        prior: the weight of the first stage's scores (``FirstStagePrior``) that suits the prompt.
        description: a line for ``--help`` and the manifest.
        grades: the value of each option (grades).
        passage: how a passage is shown under its label (selection, listing).
        answer: how the model is to write a label (selection, listing).
        labels: "letters" or "numbers" (selection, listing).
    """

    name: str
    kind: str
    text: Template
    target: Template
    options: tuple[str, ...]
    chat: bool = False
    max_tokens: int = 8
    prior: float = 0.0
    description: str = ""
    grades: tuple[float, ...] = ()
    passage: Template = _EMPTY
    answer: Template = _EMPTY
    labels: str = ""


RELEVANCE = Prompt(
    "relevance",
    "relevance",
    _EMPTY,
    _EMPTY,
    (),
    description="A reranker's own template: the log-odds that the passage is relevant",
)
"""The prompt of every reranker."""


def _shipped_files() -> dict[str, Path]:
    folder = resources.files("rankprompt.prompts")
    return {
        Path(entry.name).stem: Path(str(entry))
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }


SHIPPED: tuple[str, ...] = tuple(sorted(_shipped_files()))
"""The names of the prompts that come with rankprompt."""


def load_prompt(name: str) -> Prompt:
    """Loads a prompt by its shipped name, or from a TOML file.

    Raises:
        UnknownNameError: the name is neither a shipped prompt's nor a file's.
        FormatError: the file is not a prompt; the message names the key or the slot that is wrong.
        InputError: the file cannot be read.

    Examples:
        >>> from rankprompt.prompts.prompt import load_prompt
        >>> prompt = load_prompt("query-likelihood")
        >>> prompt.kind, sorted(prompt.text.slots), str(prompt.target)
        ('likelihood', ['passage'], ' {query}')
    """
    if name == RELEVANCE.name:
        return RELEVANCE
    path = _shipped_files().get(name, Path(name))
    if not path.is_file():
        raise UnknownNameError("prompt", name, SHIPPED, "Or give a TOML file.")
    return read_toml(path, partial(_parse, name))


def _parse(name: str, content: Mapping[str, object]) -> Prompt:
    if unknown := set(content) - _KEYS:
        raise ValueError(f"unknown key {min(unknown)!r}; known: {', '.join(sorted(_KEYS))}")
    kind = _text(content, "kind")
    if kind not in _SLOTS:
        raise ValueError(f"kind must be {', '.join(_SLOTS)}, not {kind!r}")
    text, target = _templates(kind, content)
    options = _options(kind, content.get("options", []))
    passage, answer, labels = _labelled_passages(kind, content)
    return Prompt(
        name=name,
        kind=kind,
        text=text,
        target=target,
        options=options,
        chat=_chat(content),
        max_tokens=_max_tokens(content),
        prior=_prior(content),
        description=_text(content, "description"),
        grades=_grades(kind, content, len(options)),
        passage=passage,
        answer=answer,
        labels=labels,
    )


def _text(content: Mapping[str, object], key: str, default: str = "") -> str:
    value = content.get(key, default)
    if not isinstance(value, str):
        raise ValueError(f"{key} must be a text")
    return value


def _templates(kind: str, content: Mapping[str, object]) -> tuple[Template, Template]:
    """The templates ``text`` and ``target``."""
    text = parse_template(_text(content, "text"))
    target = parse_template(_text(content, "target"))
    may_show = {"query", "number"} if kind in _LABELLED else {"query"}
    _check_slots("text", text, must=_SLOTS[kind], may=may_show)
    has_target = kind in ("contrast", "likelihood")
    _check_slots("target", target, must={"query"} if has_target else set())
    if not has_target and target != _EMPTY:
        answers = "labels" if kind in _LABELLED else "options"
        raise ValueError(f"a {kind} has {answers}, not a target")
    return text, target


def _options(kind: str, options: object) -> tuple[str, ...]:
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise ValueError("options must be a list of texts")
    different = len({option.strip() for option in options})
    if kind == "grades":
        if different < 2 or different < len(options):
            raise ValueError("grades have two or more different options")
    elif len(options) != (wanted := 2 * (kind in ("choice", "contrast"))) or different != wanted:
        raise ValueError(f"a {kind} has {wanted} different options, not {len(options)}")
    if not all(option.strip() for option in options):
        raise ValueError("an option is blank")
    return tuple(options)


def _grades(kind: str, content: Mapping[str, object], options: int) -> tuple[float, ...]:
    grades = content.get("grades", [])
    # A bool is an int, too; hence the exact types.
    if not isinstance(grades, list) or not all(type(grade) in (int, float) for grade in grades):
        raise ValueError("grades must be a list of numbers")
    if len(grades) != (options if kind == "grades" else 0):
        raise ValueError("grades go with kind grades, one for each option")
    return tuple(map(float, grades))


def _labelled_passages(kind: str, content: Mapping[str, object]) -> tuple[Template, Template, str]:
    """The templates ``passage`` and ``answer``, and ``labels``."""
    passage = parse_template(_text(content, "passage"))
    answer = parse_template(_text(content, "answer"))
    labels = _text(content, "labels", "letters" if kind in _LABELLED else "")
    if kind in _LABELLED:
        _check_slots("passage", passage, must={"label", "passage"})
        _check_slots("answer", answer, must={"label"})
        if labels not in ("letters", "numbers"):
            raise ValueError(f"labels must be letters or numbers, not {labels!r}")
    elif labels or passage != _EMPTY or answer != _EMPTY:
        kinds = " and ".join(_LABELLED)
        raise ValueError(f"passage, answer and labels go with {kinds}, not {kind}")
    return passage, answer, labels


def _chat(content: Mapping[str, object]) -> bool:
    chat = content.get("chat", False)
    if not isinstance(chat, bool):
        raise ValueError("chat must be true or false")
    return chat


def _max_tokens(content: Mapping[str, object]) -> int:
    max_tokens = content.get("max_tokens", 8)
    if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or max_tokens < 1:
        raise ValueError("max_tokens must be a whole number from 1")
    return max_tokens


def _prior(content: Mapping[str, object]) -> float:
    prior = content.get("prior", 0.0)
    if not isinstance(prior, int | float) or not 0 <= prior < float("inf"):
        raise ValueError("prior must be a number from 0")
    return prior


def _check_slots(
    key: str, template: Template, *, must: set[str], may: frozenset[str] | set[str] = frozenset()
) -> None:
    if missing := must - template.slots:
        raise ValueError(f"{key} lacks the slot {{{min(missing)}}}")
    if unknown := template.slots - must - may:
        raise ValueError(
            f"{key} has an unknown slot {{{min(unknown)}}}; "
            f"known here: {', '.join(sorted(must | may)) or 'none'}"
        )
