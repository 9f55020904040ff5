"""Puts prompts into a tokenizer's chat template, and finds where the answer begins.

A template is a program that comes with the model. It may raise, demand a system's turn, expect the
content as a list of parts, write today's date, and open the model's reasoning. What stands between
its generation prompt and an answer is found by rendering an answer.
"""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rankprompt.errors import ModelError
from rankprompt.llm.local.model_files import first_line
from rankprompt.llm.local.template_content import only_writes_content
from rankprompt.llm.reasoning import strip_reasoning

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["ChatTemplate"]

_PROBE = "Which of the passages is more relevant?"
_ANSWER = "Passage"
_SYSTEM = "You are a helpful assistant."
# The names by which templates ask whether the model shall reason; templates ignore other names.
_NO_REASONING = {"enable_thinking": False, "thinking": False}
_DATE = re.compile(r"strftime_now\(\s*(['\"])(.*?)\1\s*\)")
_HARMONY_TURN = "<|start|>assistant"
_HARMONY_FINAL = "<|channel|>final<|message|>"
# Marks that open reasoning, and those that close it.
_CLOSING = (
    (re.compile(r"<\|channel\|>\s*analysis\s*<\|message\|>"), ""),
    (re.compile(r"<((?:[a-z]+:)?[a-z_]+)>", re.I), r"</\1>"),
    (re.compile(r"\[([a-z_]+)\]", re.I), r"[/\1]"),
    (re.compile(r"◁([a-z_]+)▷", re.I), r"◁/\1▷"),
    (re.compile(r"<\|START_(\w+)\|>"), r"<|END_\1|>"),
    (re.compile(r"<\|begin_of_(\w+)\|>"), r"<|end_of_\1|>"),
    (re.compile(r"<\|inner_prefix\|>"), "<|inner_suffix|>"),
    (re.compile(r"<\|channel>"), "<channel|>"),
)


class ChatTemplate:
    """The chat template of a tokenizer that has one.

    Reasoning is switched off where the template lets us; where it opens reasoning all the same, the
    reasoning is closed. A template that writes the date keeps to the date of this object.

    Attributes:
        lead: the spaces that the template writes between the prompt and an answer.
        signature: how prompts are put, for a fingerprint; "" where no more was needed than to
            render the user's turn, so that the template itself says it all.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", name: str) -> None:
        self._tokenizer, self._name = tokenizer, name
        self._template = ""
        self._system = self._parts = False
        self._after = self.lead = self.signature = ""
        self._problem = ""
        # What the template writes before and after a prompt, where it only writes the prompt.
        self._around: tuple[str, str] | None = None
        self._trims = False
        try:
            self._problem = self._prepare()
        except Exception as error:  # the template's own code makes jinja raise all kinds
            self._problem = first_line(error)
        if not self._problem and only_writes_content(self._template):
            with suppress(Exception):
                self._find_around()

    def put(self, prompt: str) -> str:
        """Returns the prompt as the user's turn, up to where the answer begins.

        Raises:
            ModelError: the template cannot be used.
        """
        problem = self._problem
        if not problem:
            if self._around:
                before, after = self._around
                return f"{before}{prompt.strip() if self._trims else prompt}{after}{self._after}"
            try:
                return self._render(prompt) + self._after
            except Exception as error:  # another prompt may do
                problem = first_line(error)
        raise ModelError(
            f"the chat template of {self._name} cannot be used: {problem}; mend it, or put "
            "the prompt without it (chat = false in a prompt file)"
        )

    def settle_lead(self, writes_space: Callable[[str], bool]) -> None:
        """Lets the model decide how an answer begins, where the template does not say it.

        After "[/INST]", many models write " A", although their templates write "[/INST]A".

        Args:
            writes_space: whether the model begins with a space after a text.
        """
        if self._problem or self.lead:
            return
        rendered = self._render(_PROBE) + self._after
        if not rendered[-1:].isspace() and writes_space(rendered):
            self.lead = " "
            self.signature = f"{rendered}|{self.lead}"

    def _prepare(self) -> str:
        """Finds a form of the turns that the template takes; returns what is wrong with it."""
        templates: object = self._tokenizer.chat_template
        if isinstance(templates, Mapping):
            if "default" not in templates:
                names = ", ".join(map(repr, sorted(templates)))
                return f"it has templates named {names}, and none named 'default'"
            templates = templates["default"]
        self._template = _with_date(str(templates), datetime.now().astimezone())
        problem = ""
        for self._system, self._parts in (
            (False, False),
            (False, True),
            (True, False),
            (True, True),
        ):
            try:
                rendered = self._render(_PROBE)
            except Exception as error:
                problem = problem or first_line(error)
                continue
            if _PROBE in rendered:
                break
            problem = problem or "it does not write the user's prompt"
        else:
            return problem
        if found := self._find_answer(rendered):
            return found
        plain = not self._system and not self._parts and not self._after and not self.lead
        some_day = _with_date(str(templates), datetime.min)
        dated = self._render(_PROBE, template=some_day) != rendered
        if not plain or dated or self._render(_PROBE, reasoning={}) != rendered:
            self.signature = f"{rendered}{self._after}|{self.lead}"
        return ""

    def _find_around(self) -> None:
        rendered = [self._render(f"{space}{_PROBE}{space}") for space in ("", " ")]
        before, *after = rendered[0].split(_PROBE)
        spaced = [f"{before}{space}{_PROBE}{space}{after[0]}" for space in ("", " ")]
        if len(after) == 1 and rendered[1] in spaced:
            self._trims = rendered[1] == rendered[0]
            self._around = before, after[0]

    def _render(
        self,
        prompt: str,
        answer: str | None = None,
        reasoning: Mapping[str, bool] = _NO_REASONING,
        template: str = "",
    ) -> str:
        turns = [("system", _SYSTEM)] if self._system else []
        turns += [("user", prompt)] if answer is None else [("user", prompt), ("assistant", answer)]
        apply: Any = self._tokenizer.apply_chat_template
        rendered = apply(
            [
                {"role": role, "content": [{"type": "text", "text": text}] if self._parts else text}
                for role, text in turns
            ],
            chat_template=template or self._template,
            tokenize=False,
            add_generation_prompt=answer is None,
            **reasoning,
        )
        return str(rendered)

    def _find_answer(self, rendered: str) -> str:
        """Finds what stands between the generation prompt and an answer; returns what is wrong."""
        turn = rendered[rendered.rfind(_PROBE) + len(_PROBE) :]
        opened = _open_mark(turn)
        base = rendered[: len(rendered) - len(turn) + opened.start()] if opened else rendered
        try:
            answered = self._render(_PROBE, _ANSWER)
        except Exception:  # a template for a single turn
            answered = ""
        before = answered[len(base) : max(0, answered.rfind(_ANSWER))]
        if not answered.startswith(base) or strip_reasoning(turn + before) is None:
            before = ""
        written = rendered[len(base) :]
        if opened and not (before and before.startswith(written)):
            closing = _closing(opened)
            if not closing:
                return "it opens the model's reasoning with a mark that is not known"
            before = f"{written}{closing}"
        elif not before and rendered.rstrip().endswith(_HARMONY_TURN):
            before = _HARMONY_FINAL
        after = before[len(written) :]
        self._after = after.rstrip(" ")
        self.lead = after[len(self._after) :]
        return ""


def _with_date(template: str, now: datetime) -> str:
    """Writes the date into a template that asks for it."""
    return _DATE.sub(lambda match: json.dumps(now.strftime(match[2])), template)


def _open_mark(turn: str) -> re.Match[str] | None:
    """Finds the mark of the reasoning that a generation prompt opens."""
    if strip_reasoning(turn) is not None:
        return None
    marks = [mark for pattern, _ in _CLOSING for mark in pattern.finditer(turn)]
    return max(marks, key=lambda mark: mark.start(), default=re.search(r"\s*$", turn))


def _closing(opened: re.Match[str]) -> str:
    """Writes the end of reasoning that ``opened`` begins, as Qwen3 writes it; "" if not known."""
    if opened[0].startswith("<|channel|>"):
        return f"<|end|>{_HARMONY_TURN}{_HARMONY_FINAL}"
    for pattern, closing in _CLOSING:
        if pattern.fullmatch(opened[0]):
            line_ends = "\n" if opened.string.endswith("\n") else "\n\n"
            return f"{line_ends}{opened.expand(closing)}\n\n"
    return ""
