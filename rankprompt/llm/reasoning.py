"""Finds a model's answer after its reasoning, in the forms of many model families.

The reasoning may name any label, so nothing of it is ever an answer; and where it did not end,
there is no answer at all.
"""

import re

__all__ = ["answer_span", "has_reasoning", "strip_reasoning"]

_WORDS = (
    r"(?:(?:think|thinking|thoughts?|reason|reasoning|reflection|scratch_?pad|analysis|rationale|"
    r"inner_monologue|(?:thinking|thought|reasoning)_process|chain_of_thought|cot)\b)"
)
# Attributes, but not the slash of a tag that is closed at once.
_TAIL = r"(?:\s[^<>]*(?<!/))?[|｜]?\s*>"
# <think>, <|think|>, <think reason="x"> and their kin (DeepSeek, Qwen, Seed, Sky-T1 ...), [THINK]
# (Mistral), ◁think▷ (Kimi), START_THINKING (Cohere), inner_prefix (Apertus), <|channel> (Gemma),
# and Granite's sentences.
_MARK = re.compile(
    rf"(?P<open><\s*[|｜]?\s*(?:begin[_▁]of[_▁]|(?!end[_▁])[a-z]+[:_])?{_WORDS}{_TAIL}"
    rf"|&lt;{_WORDS}&gt;|\[{_WORDS}\]|◁{_WORDS}▷|<\|START_THINKING\|>"
    r"|<\|inner_prefix\|>|<\|channel>"
    r"|^\s*Here(?: i|'|’)s my thought process:)"
    rf"|<\s*(?:[|｜]?\s*/|/\s*[|｜]|[|｜]?\s*end[_▁](?:of[_▁])?)\s*(?:[a-z]+[:_])?{_WORDS}{_TAIL}"
    rf"|&lt;/{_WORDS}&gt;|\[/{_WORDS}\]|◁/{_WORDS}▷|<\|END_THINKING\|>"
    r"|<\|inner_suffix\|>|<channel\|>|Here(?: i|'|’)s my response:",
    re.I,
)
# What some families put around the answer.
_ANSWER_OPENS = re.compile(
    r"\s*(?:<\|(?:START_RESPONSE|begin_of_solution|begin_of_box)\|>"
    r"|<(?:response|answer|final_answer)>)",
    re.I,
)
_ANSWER_CLOSES = re.compile(
    r"(?:<\|(?:END_RESPONSE|end_of_solution|end_of_box)\|>|</(?:response|answer|final_answer)>)\s*$",
    re.I,
)
# The token limit may have ended it.
_BOXED = re.compile(r"\s*\$*\\boxed\s*\{(?:\\text\w*\s*\{)?([^{}]*)\}{0,2}\$*\.?\s*")
# Special tokens that some servers leave at the end of a text.
_END_MARKS = re.compile(
    r"(?:\s*(?:<\|(?:im_end|eot_id|eom_id|endoftext|end_of_text|end_of_turn|end|return|eot|eos)\|>"
    r"|</s>|<(?:eos|end_of_turn|pad|turn\|)>|<｜end▁of▁sentence｜>))+\s*$",
    re.I,
)
# Harmony, the format of gpt-oss: channels named analysis, commentary and final.
_HARMONY = re.compile(r"<\|(?:channel|message)\|>")
_HARMONY_MARK = re.compile(r"<\|(?:start|end|return|call|channel|message|constrain)\|>")
_FINAL_CHANNEL = re.compile(
    r"(?:<\|channel\|>|^)\s*final\b(?:(?!<\|message\|>).){0,80}<\|message\|>", re.S
)
# Harmony whose marks a server dropped, so that channel and message stand together:
# "analysisWe compare ... assistantfinalPassage B".
_BARE_ANALYSIS = re.compile(r"\s*(?:assistant)?(?:analysis|commentary)(?:[^\W\d_]|[\n\"'“‘])")
_BARE_FINAL = re.compile(r"assistantfinal\s*|^\s*final(?=[A-Z\[(*\"])")


def strip_reasoning(text: str) -> str | None:
    """Returns the text after a model's reasoning: all of it where there is none.

    Tags around the whole answer, and the marks of its end, are left out.

    Returns:
        "" where nothing follows the reasoning; None where the reasoning did not end. A chat
        template may write the mark that opens the reasoning, so a closing mark alone counts; but
        reasoning without any mark, cut off before it closes, looks like an answer.
    """
    span = answer_span(text)
    return None if span is None else text[slice(*span)]


def answer_span(text: str) -> tuple[int, int] | None:
    """As ``strip_reasoning``, but returns where the answer begins and ends, in characters."""
    span = _after_reasoning(text)
    return span and _unwrapped(text, *span)


def has_reasoning(text: str) -> bool:
    """Whether a text holds reasoning, ended or not."""
    return _after_reasoning(text) != (0, len(text))


def _after_reasoning(text: str) -> tuple[int, int] | None:
    if _HARMONY.search(text):
        return _harmony_span(text)
    finals = list(_BARE_FINAL.finditer(text))
    if finals:
        return finals[-1].end(), len(text)
    # The word with a letter right after it, or on a line of its own; "Analysis of passage A" and
    # "analysis: A" are answers.
    if _BARE_ANALYSIS.match(text):
        return None
    marks = list(_MARK.finditer(text))
    if not marks:
        return 0, len(text)
    if marks[-1]["open"]:
        return None
    return marks[-1].end(), len(text)


def _unwrapped(text: str, start: int, end: int) -> tuple[int, int]:
    """Narrows a span to the answer inside of what is written around it."""
    if marks := _END_MARKS.search(text, start, end):
        end = marks.start()
    if opens := _ANSWER_OPENS.match(text, start, end):
        start = opens.end()
        closes = _ANSWER_CLOSES.search(text, start, end)
        end = closes.start() if closes else end
    boxed = _BOXED.fullmatch(text, start, end)
    return boxed.span(1) if boxed else (start, end)


def _harmony_span(text: str) -> tuple[int, int] | None:
    finals = list(_FINAL_CHANNEL.finditer(text))
    if not finals:
        return None
    start = finals[-1].end()
    ends = _HARMONY_MARK.search(text, start)
    return start, ends.start() if ends else len(text)
