"""Prompts: texts with named slots, from TOML files.

A prompt file says how a question is put to a model and how the answer is read. About two passages:

* ``kind = "choice"``: ``text`` shows both passages ({first}, {second}) and the query; the model
  chooses between two ``options``, the first of which stands for {first}.
* ``kind = "contrast"``: ``text`` shows both passages and a {label}; how likely is ``target`` (the
  query) with the one label and with the other? ``options`` are the labels.

About one passage:

* ``kind = "likelihood"``: ``text`` shows one {passage}; how likely is ``target`` after it? Two
  passages are compared by it, too.
* ``kind = "grades"``: ``text`` shows one {passage} and the query; the model chooses among
  ``options``, each of which is worth as much as ``grades`` says in its place.

About several, each shown as ``passage`` says under a {label}, which is a letter or a number
(``labels``); ``text`` shows the query and all of the {passages}, and may name their {number}:

* ``kind = "selection"``: which is the most relevant?
* ``kind = "listing"``: in which order do they stand? ``max_tokens`` is for each of them.

``answer`` is how the model is to write a {label}.
"""

import re
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path

from rankprompt.errors import UnknownNameError
from rankprompt.files.toml import read_toml

__all__ = ["SHIPPED", "Prompt", "load_prompt"]

_SLOT = re.compile(r"\{\{|\}\}|\{(\w+)\}|[{}]")
# What ``text`` must show.
_SLOTS = {
    "choice": {"query", "first", "second"},
    "contrast": {"first", "second", "label"},
    "likelihood": {"passage"},
    "grades": {"query", "passage"},
    "selection": {"query", "passages"},
    "listing": {"query", "passages"},
}
_SETS = ("selection", "listing")
_KEYS = {
    "kind", "text", "target", "options", "grades", "passage", "answer", "labels", "chat",
    "max_tokens", "prior", "description", "source",
}  # fmt: skip


@dataclass(frozen=True)
class Template:
    """A text with named slots; ``{{`` and ``}}`` stand for the braces themselves."""

    parts: tuple[str, ...]
    """Texts at even places, slot names at odd ones."""

    @property
    def slots(self) -> frozenset[str]:
        """The names of the slots."""
        return frozenset(self.parts[1::2])

    def __str__(self) -> str:
        """The text as it stands in a prompt file."""
        parts = (part.replace("{", "{{").replace("}", "}}") for part in self.parts)
        return "".join(f"{{{part}}}" if place % 2 else part for place, part in enumerate(parts))

    def breaks(self, **values: str) -> tuple[int, ...]:
        """Where the slots begin in the filled text: up to there, other fillings may be the same."""
        places, length = [], 0
        for place, part in enumerate(self.parts):
            if place % 2:
                places.append(length)
            length += len(values[part] if place % 2 else part)
        return tuple(places)

    def fill(self, **values: str) -> str:
        """Puts values into the slots; what a value holds, braces too, stays as it is."""
        return "".join(values[part] if place % 2 else part for place, part in enumerate(self.parts))


def parse_template(text: str) -> Template:
    """Reads a template.

    Raises:
        ValueError: a brace stands alone.
    """
    parts, start, plain = [], 0, ""
    for found in _SLOT.finditer(text):
        plain += text[start : found.start()]
        start = found.end()
        if found[1]:
            parts += [plain, found[1]]
            plain = ""
        elif found[0] in ("{{", "}}"):
            plain += found[0][0]
        else:
            raise ValueError(f"a lone {found[0]!r} in {text[:60]!r}: double it, or name a slot")
    return Template((*parts, plain + text[start:]))


@dataclass(frozen=True)
class Prompt:
    """How a question is put to a model, and what it may answer.

    Attributes:
        name: the shipped name, or the file's path.
        kind: "choice", "contrast", "likelihood", "grades", "selection" or "listing".
        text: what the model reads.
        target: what the model is scored on (contrast, likelihood).
        options: what the model may answer (choice, grades), or the passages' labels (contrast).
        chat: put the text into the model's chat template, where it has one.
        max_tokens: how much is generated for an answer that is read as text; of a listing, for
            each passage.
        prior: the weight of the first stage's scores that goes well with it (``PriorJudge``).
        description: one line for ``--help`` and the manifest.
        grades: what each option is worth (grades).
        passage: how each passage is shown under its label (selection, listing).
        answer: how a label is answered (selection, listing).
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
    passage: Template = Template(("",))
    answer: Template = Template(("",))
    labels: str = ""


def _shipped() -> dict[str, Path]:
    folder = resources.files("rankprompt.prompts")
    return {
        Path(entry.name).stem: Path(str(entry))
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }


SHIPPED: tuple[str, ...] = tuple(sorted(_shipped()))
"""The names of the prompts that come with rankprompt."""


def load_prompt(name: str) -> Prompt:
    """Loads a prompt by its shipped name or from a TOML file.

    Raises:
        UnknownNameError: neither a shipped prompt nor a file.
        FormatError: the file is not a prompt; says which key or slot is wrong.
        InputError: the file cannot be read.
    """
    path = _shipped().get(name, Path(name))
    if not path.is_file():
        raise UnknownNameError("prompt", name, SHIPPED, "Or give a TOML file.")
    return read_toml(path, partial(_prompt, name))


def _prompt(name: str, content: dict[str, object]) -> Prompt:
    if unknown := set(content) - _KEYS:
        raise ValueError(f"unknown key {min(unknown)!r}; known: {', '.join(sorted(_KEYS))}")

    def text(key: str, default: str = "") -> str:
        value = content.get(key, default)
        if not isinstance(value, str):
            raise ValueError(f"{key} must be a text")
        return value

    kind = text("kind")
    if kind not in _SLOTS:
        raise ValueError(f"kind must be {', '.join(_SLOTS)}, not {kind!r}")
    template, target = parse_template(text("text")), parse_template(text("target"))
    _check_slots("text", template, _SLOTS[kind], {"query", *(["number"] * (kind in _SETS))})
    scored = kind in ("contrast", "likelihood")
    _check_slots("target", target, {"query"} if scored else set(), may=set())
    if not scored and target.parts != ("",):
        has = "labels" if kind in _SETS else "options"
        raise ValueError(f"a {kind} has {has}, not a target")
    options = _options(kind, content.get("options", []))
    grades = content.get("grades", [])
    if not isinstance(grades, list) or not all(type(one) in (int, float) for one in grades):
        raise ValueError("grades must be a list of numbers")
    if len(grades) != (len(options) if kind == "grades" else 0):
        raise ValueError("grades go with kind grades, one for each option")
    shown, answer = parse_template(text("passage")), parse_template(text("answer"))
    labels = text("labels", "letters" if kind in _SETS else "")
    if kind in _SETS:
        _check_slots("passage", shown, {"label", "passage"}, may=set())
        _check_slots("answer", answer, {"label"}, may=set())
        if labels not in ("letters", "numbers"):
            raise ValueError(f"labels must be letters or numbers, not {labels!r}")
    elif labels or shown.parts != ("",) or answer.parts != ("",):
        raise ValueError(f"passage, answer and labels go with {' and '.join(_SETS)}, not {kind}")
    chat, max_tokens = content.get("chat", False), content.get("max_tokens", 8)
    if not isinstance(chat, bool):
        raise ValueError("chat must be true or false")
    if type(max_tokens) is not int or max_tokens < 1:  # a bool is an int, too
        raise ValueError("max_tokens must be a whole number from 1")
    prior = content.get("prior", 0.0)
    if not isinstance(prior, int | float) or not 0 <= prior < float("inf"):
        raise ValueError("prior must be a number from 0")
    return Prompt(
        name, kind, template, target, options, chat, max_tokens, prior, text("description"),
        tuple(map(float, grades)), shown, answer, labels,
    )  # fmt: skip


def _options(kind: str, options: object) -> tuple[str, ...]:
    if not isinstance(options, list) or not all(isinstance(one, str) for one in options):
        raise ValueError("options must be a list of texts")
    different = len({one.strip() for one in options})
    if kind == "grades":
        if different < 2 or different < len(options):
            raise ValueError("grades have two or more different options")
    elif len(options) != (wanted := 2 * (kind in ("choice", "contrast"))) or different != wanted:
        raise ValueError(f"a {kind} has {wanted} different options, not {len(options)}")
    if not all(one.strip() for one in options):
        raise ValueError("an option is blank")
    return tuple(options)


def _check_slots(key: str, template: Template, must: set[str], may: set[str]) -> None:
    if missing := must - template.slots:
        raise ValueError(f"{key} lacks the slot {{{min(missing)}}}")
    if unknown := template.slots - must - may:
        raise ValueError(
            f"{key} has an unknown slot {{{min(unknown)}}}; "
            f"known here: {', '.join(sorted(must | may)) or 'none'}"
        )
