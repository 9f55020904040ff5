"""The prompts after which a model writes a query for a passage.

A small model follows demonstrations too closely: after several, or one with words of its own
subject, it repeats their form and their words for most passages. So half of the passages are shown
without any, which brings questions of what something is, and half after one that asks why.
"""

from rankprompt.errors import InputError
from rankprompt.prompts.prompt import Prompt, load_prompt
from rankprompt.prompts.template import Template, parse_template

__all__ = ["query_prompts"]

_FRAME = 'Text: {passage}\n\nThe question that this text answers is: "'
_PASSAGE = (
    "Sourdough owes its tang to lactic acid bacteria, which live beside wild yeast in the starter "
    "and feed on the sugars of the flour. Bakers' yeast makes no acid."
)
_QUERY = "Why does sourdough bread taste sour?"


def query_prompts(name: str | None, *, chat: bool) -> tuple[Prompt, ...]:
    """The prompts of which one is drawn for each passage.

    Args:
        name: a prompt that comes with rankprompt, or a file, which is then the only one; None for
            our own, without and with a demonstration.
        chat: whether our own go into the model's chat template.

    Raises:
        InputError: the prompt is not of kind "likelihood", or cannot be read.

    Examples:
        >>> from rankprompt.distil.query_prompts import query_prompts
        >>> print(query_prompts(None, chat=False)[0].text.fill(passage="An old mill."))
        Text: An old mill.
        <BLANKLINE>
        The question that this text answers is: "
    """
    if name is None:
        frame, target = parse_template(_FRAME), parse_template("{query}")
        first, *others = frame.parts
        shown = f'{frame.fill(passage=_PASSAGE)}{_QUERY}"\n\n'
        return tuple(
            Prompt("ours", "likelihood", Template((before + first, *others)), target, (), chat=chat)
            for before in ("", shown)
        )
    prompt = load_prompt(name)
    if prompt.kind != "likelihood":
        raise InputError(
            f"`prompt` {name}: queries are written after a prompt of kind likelihood, such as "
            f"query-likelihood, not {prompt.kind}"
        )
    return (prompt,)
