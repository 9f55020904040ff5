"""The words around a choice that a model writes, so that a choice is told from a mention."""

import re

__all__ = ["AGAINST", "COMPARES", "DOUBT", "LEAD", "LETTER", "MARKUP", "RETRACTS"]

# Chinese and Japanese write no spaces between words.
LETTER = r"[^\W\u3040-\u30ff\u3400-\u9fff]"
"""A pattern of a letter that continues a word."""
MARKUP = r"[\s*_`'\"“”‘’「」『』()\[\]{}<>#=|-]*"
"""A pattern of what may surround a label."""
COMPARES = "more|most|better|best|correct|answer"
"""The words by which a sentence chooses."""
_LEAD_WORDS = (
    f"{COMPARES}|all|and|answering|antwort|answers|are|based|believe|between|chose|choice|choose|chosen|comparing|"
    "comparison|conclusion|decision|descending|document|final|following|for|from|given|go|grade|hence|"
    "i|i'd|i'll|in|is|it|it's|judgement|judgment|label|letter|listing|my|number|of|ok|okay|on|one|"
    "option|order|ordering|output|overall|passage|passages|pick|ranked|ranking|rating|"
    "relevance|relevant|response|result|respuesta|risposta|réponse|say|score|search|select|selected|selection|so|sure|summary|"
    "that|the|therefore|these|think|this|thus|to|two|user's|verdict|will|with|would|be|your"
)
_LEAD_ZH = (
    "最终|答案|输出|结果|结论|选择|我选|选|我|认为|的|是|为|应该|应|更|最|相关|段落|文档|文章|"
    "综上|因此|所以|与|该|查询|问题|回答|排序|顺序|排名|如下"
)
LEAD = rf"(?i:(?:(?:(?:{_LEAD_WORDS})(?!{LETTER})|{_LEAD_ZH}){MARKUP}[,:：，]?{MARKUP})*)"
"""A pattern of the words that may come before a choice."""
DOUBT = (
    r"\b(?:but|however|although|though|yet|not|no|never|neither|nor|cannot|"
    r"fails?|lacks?|without|hardly|irrelevant|unrelated)\b|n['’]t\b"
    "|不|没|但"
)
"""A pattern of what takes a choice back, or denies it."""
AGAINST = (
    r"\b(?:worse|worst|less|least|lesser|wrong|incorrect|false|hardly|unlikely|off|out|loser|weaker|"
    r"despite|reject\w*|eliminat\w*|exclud\w*|discard\w*|rul\w+ out)\b|❌|✗|差|较低|排除"
)
"""A pattern of what speaks against an option, without the words of ``DOUBT``."""
RETRACTS = re.compile(
    r"\W*(?:(?:no\b(?! (?:doubt|explanation|further|need|other))|not|nope|wait|actually|sorry|"
    r"correction|hmm|on second thought|i meant?|just kidding|scratch that|"
    r"(?:that|this|it)(?: is|['’]s) (?:wrong|incorrect|not|false)|is (?:not|less|worse))\b"
    r"|错|不对|等等)",
    re.I,
)
"""Matches, at the start of a sentence, what takes back the choice before it."""
