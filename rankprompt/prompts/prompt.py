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

In each kind, ``text`` may also show an {instruction}, whose default is ``instruction``; where that
is empty, it takes the literal text of its line with it. ``decide`` is how judgements in both orders
are concluded (``PairwiseJudge``) unless the user says otherwise: by "agreement" for a choice, and
"soft" for the other kinds.

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
from rankprompt.prompts.prompt_keys import (
    EMPTY,
    KEYS,
    SLOTS,
    fill_instruction,
    read_chat,
    read_decide,
    read_grades,
    read_labelled_passages,
    read_max_tokens,
    read_options,
    read_prior,
    read_templates,
    read_text,
)
from rankprompt.prompts.template import Template

__all__ = ["RELEVANCE", "SHIPPED", "Prompt", "load_prompt"]


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
        decide: how judgements in both orders are concluded (``PairwiseJudge``), as suits the
            prompt.
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
    decide: str = "agreement"
    description: str = ""
    grades: tuple[float, ...] = ()
    passage: Template = EMPTY
    answer: Template = EMPTY
    labels: str = ""


RELEVANCE = Prompt(
    "relevance",
    "relevance",
    EMPTY,
    EMPTY,
    (),
    decide="soft",
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


def load_prompt(name: str, instruction: str | None = None) -> Prompt:
    """Loads a prompt by its shipped name, or from a TOML file.

    Args:
        name: the shipped name, or the file's path.
        instruction: fills the slot {instruction}, verbatim; None for the file's own instruction.

    Raises:
        UnknownNameError: the name is neither a shipped prompt's nor a file's.
        FormatError: the file is not a prompt; the message names the key or the slot that is wrong.
        InputError: the file cannot be read, or there is an instruction and no slot for it.

    Examples:
        >>> from rankprompt.prompts.prompt import load_prompt
        >>> prompt = load_prompt("query-likelihood")
        >>> prompt.kind, sorted(prompt.text.slots), str(prompt.target)
        ('likelihood', ['passage'], ' {query}')
    """
    if name == RELEVANCE.name:
        fill_instruction(name, RELEVANCE.text, {}, instruction)
        return RELEVANCE
    path = _shipped_files().get(name, Path(name))
    if not path.is_file():
        raise UnknownNameError("prompt", name, SHIPPED, "Or give a TOML file.")
    return read_toml(path, partial(_parse, name, instruction))


def _parse(name: str, instruction: str | None, content: Mapping[str, object]) -> Prompt:
    if unknown := set(content) - KEYS:
        raise ValueError(f"unknown key {min(unknown)!r}; known: {', '.join(sorted(KEYS))}")
    kind = read_text(content, "kind")
    if kind not in SLOTS:
        raise ValueError(f"kind must be {', '.join(SLOTS)}, not {kind!r}")
    text, target = read_templates(kind, content)
    options = read_options(kind, content)
    passage, answer, labels = read_labelled_passages(kind, content)
    return Prompt(
        name=name,
        kind=kind,
        text=fill_instruction(name, text, content, instruction),
        target=target,
        options=options,
        chat=read_chat(content),
        max_tokens=read_max_tokens(content),
        prior=read_prior(content),
        decide=read_decide(kind, content),
        description=read_text(content, "description"),
        grades=read_grades(kind, content, len(options)),
        passage=passage,
        answer=answer,
        labels=labels,
    )
