"""Finds a model's answer after its reasoning, in the forms of many model families.

The reasoning may name any label, so nothing of it is ever an answer; and where it did not end,
there is no answer at all.
"""

import re

__all__ = ["answer_span", "strip_reasoning"]

_WORDS = "(?:think|thinking|thoughts?|reason|reasoning|reflection|scratch_?pad)"
# <think> and its kin (DeepSeek, Qwen, Seed ...), [THINK] (Mistral), ◁think▷ (Kimi), START_THINKING
# (Cohere), begin_of_thought (Sky-T1), inner_prefix (Apertus), <|channel> (Gemma), and Granite's
# sentences.
_MARK = re.compile(
    rf"(?P<open><(?:[a-z]+[:_])?{_WORDS}>|\[{_WORDS}\]|◁{_WORDS}▷|<\|START_THINKING\|>"
    r"|<\|begin_of_thought\|>|<\|inner_prefix\|>|<\|channel>"
    r"|^\s*Here(?: i|'|’)s my thought process:)"
    rf"|</(?:[a-z]+[:_])?{_WORDS}>|\[/{_WORDS}\]|◁/{_WORDS}▷|<\|END_THINKING\|>"
    r"|<\|end_of_thought\|>|<\|inner_suffix\|>|<channel\|>|Here(?: i|'|’)s my response:",
    re.I,
)
# What some families put around the answer after their reasoning.
_ANSWER_OPENS = re.compile(
    r"\s*(?:<\|START_RESPONSE\|>|<\|begin_of_solution\|>|<response>|<answer>)", re.I
)
_ANSWER_CLOSES = re.compile(
    r"(?:<\|END_RESPONSE\|>|<\|end_of_solution\|>|</response>|</answer>)\s*$", re.I
)
# Harmony, the format of gpt-oss: channels named analysis, commentary and final.
_HARMONY = re.compile(r"<\|(?:channel|message)\|>")
_HARMONY_MARK = re.compile(r"<\|(?:start|end|return|call|channel|message|constrain)\|>")
_FINAL_CHANNEL = re.compile(
    r"(?:<\|channel\|>|^)\s*final\b(?:(?!<\|message\|>).){0,80}<\|message\|>", re.S
)
# Harmony whose marks a server dropped, so that channel and message stand together:
# "analysisWe compare ... assistantfinalPassage B".
_BARE_ANALYSIS = re.compile(r"\s*(?:assistant)?(?:analysis|commentary)(?:[^\W\d_a-z]|[\n\"'“‘])")
_BARE_FINAL = re.compile(r"assistantfinal\s*|^\s*final(?=[A-Z\[(*\"])")


def strip_reasoning(text: str) -> str | None:
    """Returns the text after a model's reasoning: all of it where there is none.

    Returns:
        "" where nothing follows the reasoning; None where the reasoning did not end. A chat
        template may write the mark that opens the reasoning, so a closing mark alone counts; but
        reasoning without any mark, cut off before it closes, looks like an answer.
    """
    span = answer_span(text)
    return None if span is None else text[slice(*span)]


def answer_span(text: str) -> tuple[int, int] | None:
    """As ``strip_reasoning``, but returns where the answer begins and ends, in characters."""
    if _HARMONY.search(text):
        return _harmony_span(text)
    finals = list(_BARE_FINAL.finditer(text))
    if finals:
        return finals[-1].end(), len(text)
    # The lower-case word with a capital right after it, or a line of its own; "Analysis of passage
    # A" and "analysis: A" are answers.
    if _BARE_ANALYSIS.match(text):
        return None
    marks = list(_MARK.finditer(text))
    if not marks:
        return 0, len(text)
    if marks[-1]["open"]:
        return None
    start, end = marks[-1].end(), len(text)
    if opens := _ANSWER_OPENS.match(text, start):
        start = opens.end()
        closes = _ANSWER_CLOSES.search(text, start)
        end = closes.start() if closes else end
    return start, end


def _harmony_span(text: str) -> tuple[int, int] | None:
    finals = list(_FINAL_CHANNEL.finditer(text))
    if not finals:
        return None
    start = finals[-1].end()
    ends = _HARMONY_MARK.search(text, start)
    return start, ends.start() if ends else len(text)
