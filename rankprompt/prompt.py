"""Prompts: texts with named slots, from TOML files.

A prompt file says how a comparison is put to a model and how the answer is read:

* ``kind = "choice"``: ``text`` shows both passages ({first}, {second}) and the query; the model
  chooses between two ``options``, the first of which stands for {first}.
* ``kind = "contrast"``: ``text`` shows both passages and a {label}; how likely is ``target`` (the
  query) with the one label and with the other? ``options`` are the labels.
* ``kind = "likelihood"``: ``text`` shows one {passage}; how likely is ``target`` after it?
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
_PASSAGES = {"choice": {"first", "second"}, "contrast": {"first", "second"}}
_KEYS = {
    "kind",
    "text",
    "target",
    "options",
    "chat",
    "max_tokens",
    "prior",
    "description",
    "source",
}


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
    """How a comparison is put to a model, and what it may answer.

    Attributes:
        name: the shipped name, or the file's path.
        kind: "choice", "contrast" or "likelihood".
        text: what the model reads.
        target: what the model is scored on (contrast, likelihood).
        options: what the model may answer (choice), or the passages' labels (contrast).
        chat: put the text into the model's chat template, where it has one.
        max_tokens: how much is generated for an answer that is read as text (choice).
        prior: the weight of the first stage's scores that goes well with it (``PriorJudge``).
        description: one line for ``--help`` and the manifest.
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
    if kind not in ("choice", "contrast", "likelihood"):
        raise ValueError(f"kind must be choice, contrast or likelihood, not {kind!r}")
    template, target = parse_template(text("text")), parse_template(text("target"))
    needed = set(_PASSAGES.get(kind, {"passage"})) | ({"label"} if kind == "contrast" else set())
    needed |= {"query"} if kind == "choice" else set()
    _check_slots("text", template, needed, may={"query"})
    _check_slots("target", target, set() if kind == "choice" else {"query"}, may=set())
    if kind == "choice" and target.parts != ("",):
        raise ValueError("a choice has options, not a target")
    options = content.get("options", [])
    wanted = 0 if kind == "likelihood" else 2
    if not isinstance(options, list) or not all(isinstance(one, str) for one in options):
        raise ValueError("options must be a list of texts")
    if len(options) != wanted or len({one.strip() for one in options}) != wanted:
        raise ValueError(f"a {kind} has {wanted} different options, not {len(options)}")
    if not all(one.strip() for one in options):
        raise ValueError("an option is blank")
    chat, max_tokens = content.get("chat", False), content.get("max_tokens", 8)
    if not isinstance(chat, bool):
        raise ValueError("chat must be true or false")
    if type(max_tokens) is not int or max_tokens < 1:  # a bool is an int, too
        raise ValueError("max_tokens must be a whole number from 1")
    prior = content.get("prior", 0.0)
    if not isinstance(prior, int | float) or not 0 <= prior < float("inf"):
        raise ValueError("prior must be a number from 0")
    return Prompt(
        name, kind, template, target, tuple(options), chat, max_tokens, prior, text("description")
    )


def _check_slots(key: str, template: Template, must: set[str], may: set[str]) -> None:
    if missing := must - template.slots:
        raise ValueError(f"{key} lacks the slot {{{min(missing)}}}")
    if unknown := template.slots - must - may:
        raise ValueError(
            f"{key} has an unknown slot {{{min(unknown)}}}; "
            f"known here: {', '.join(sorted(must | may)) or 'none'}"
        )
