"""Tells a label that is chosen from one that is only mentioned, or spoken against."""

import re

from rankprompt.llm.lead_words import AGAINST, COMPARES, DOUBT, LETTER, RETRACTS

__all__ = ["SENTENCE_END", "is_denied_above", "is_mention"]

SENTENCE_END = re.compile(r"[.!?。！？\n]")
# What may follow a label that is a choice.
_STATES = re.compile(
    rf"\s*(?:$|[^\w\s]|_|\W*(?:(?:{COMPARES}|is|are|as|because|since|due|for|answers|fits|matches|"
    rf"would|be|the|a|an|clearly|directly|slightly|much|far|relevant)(?!{LETTER})|[\d\u3040-\u9fff]))",
    re.I,
)
_ABOUT = re.compile(r"\s*(?:is|are)\s+(?:about|on|an?\b(?!\s+(?:better|more|best)))", re.I)
_AGAINST = re.compile(
    rf"{DOUBT}|{AGAINST}|\b(?:inferior|poor|weak|lower|lowest|second|runner|far from)\b|👎|✘|🚫|❎",
    re.I,
)
# "Is too general" chooses nothing; "is the" and "is clearly" may be cut off by the token limit.
_IS = re.compile(r"\s*(?:is|are|would be)\b", re.I)
_CHOOSES = re.compile(
    rf"\b(?:{COMPARES}|relevant|winner|prefer\w+|chosen|choice|selected|useful|helpful|informative|"
    r"suitable|appropriate|superior|stronger|higher|highest|right)\b",
    re.I,
)
_BEGUN = re.compile(r"(?:\s*(?:the|an?|by|far|much|\w+ly)\b)*\W*", re.I)
# "Passage A / Passage B" names both.
_JOINS = re.compile(r"\s*(?:[&/=+≈]|<(?![/|])|和|或|与)")
_ASKED = re.compile(r"\s*[?？]")
# The reason for a choice may deny the other option.
_REASON = re.compile(r"\b(?:because|since|as it|while|whereas|than)\b|因为|由于", re.I)
_CLAUSE_END = re.compile(r"[,;，；]")
_TURNS = re.compile(r"\W*(?:but|however|yet)\b|\W*但", re.I)
_PREFERRED = re.compile(rf"\W*(?:is|would be)\s+(?:(?!no|less)\w+\s+){{0,2}}(?:{COMPARES})\b", re.I)


def is_mention(after: str, others: re.Pattern[str], denial: re.Pattern[str]) -> bool:
    """Whether what follows a label shows that it is no choice.

    Args:
        after: the text from the label's end to the answer's.
        others: the names of the other options.
        denial: "not" and what all options begin with, where the token limit may end the text.
    """
    after = after.lstrip("*_`'\")]}")
    sentence, *later = SENTENCE_END.split(after)
    claim, *clauses = _CLAUSE_END.split(_REASON.split(sentence)[0])
    if _ASKED.match(after) or not _STATES.match(sentence) or _ABOUT.match(sentence):
        return True
    if _JOINS.match(after) and others.search(sentence):
        return True
    said = _IS.match(claim)
    if said and not (_CHOOSES.search(claim) or _BEGUN.fullmatch(claim, said.end())):
        return True
    if _AGAINST.search(claim) or any(map(RETRACTS.match, later)):
        return True
    if any(_PREFERRED.match(after, one.end()) for one in others.finditer(after)):
        return True
    return any(_takes_back(clause, after, others, denial) for clause in clauses)


def _takes_back(clause: str, after: str, others: re.Pattern[str], denial: re.Pattern[str]) -> bool:
    if _TURNS.match(clause):
        return True
    denies_other = others.search(clause) or (after.endswith(clause) and denial.fullmatch(clause))
    if RETRACTS.match(clause):
        return not (denies_other and re.match(r"\s*not\b", clause, re.I))
    return not denies_other and bool(_AGAINST.search(clause))


def is_denied_above(before: str) -> bool:
    """Whether the text before a label ends with a heading such as "Not relevant:"."""
    lines = before.rstrip(" \t\n*_`#>-").splitlines()
    line = lines[-1].strip() if lines else ""
    heading = line.endswith((":", "：")) or line.startswith(("#", "**"))
    return heading and bool(_AGAINST.search(line))
