"""The prompts after which a model writes a query for a passage.

A small model follows a demonstration closely: after four of them it repeats the last one's form,
and its words, for nearly any passage. So each passage is shown after one, which the seed draws.
"""

from rankprompt.errors import InputError
from rankprompt.prompts.prompt import Prompt, load_prompt
from rankprompt.prompts.template import Template, parse_template

__all__ = ["query_prompts"]

_FRAME = 'Text: {passage}\n\nThe question that this text answers is: "'
_DEMONSTRATIONS = (
    (
        "Sourdough owes its tang to lactic acid bacteria, which live beside wild yeast in the "
        "starter and feed on the sugars of the flour. Bakers' yeast makes no acid.",
        "Why does sourdough bread taste sour?",
    ),
    (
        "How Much Do You Need? It depends on your age. Most adults need between seven and nine "
        "hours of sleep a night. Teenagers need a little more, eight to ten hours, and school "
        "children nine to twelve.",
        "how many hours of sleep do teenagers need",
    ),
    (
        "Let the wax harden and scrape it off. Then lay brown paper over the rest and press with "
        "a warm iron until the paper has soaked it up. Wash the cloth as usual.",
        "how to get candle wax out of a table cloth",
    ),
    (
        "Job description. A mortgage broker compares the offers of many banks for a borrower, "
        "collects the papers that a bank asks for, and is paid a commission once the loan is "
        "signed.",
        "mortgage broker duties",
    ),
)


def query_prompts(name: str | None, *, chat: bool) -> tuple[Prompt, ...]:
    """The prompts of which one is drawn for each passage.

    Args:
        name: a prompt that comes with rankprompt, or a file, which is then the only one; None for
            our own, each with a demonstration.
        chat: whether our own go into the model's chat template.

    Raises:
        InputError: the prompt is not of kind "likelihood", or cannot be read.

    Examples:
        >>> from rankprompt.distil.query_prompts import query_prompts
        >>> print(query_prompts(None, chat=False)[3].text.fill(passage="An old mill."))
        Text: Job description. A mortgage broker compares the offers of many banks for a borrower, \
collects the papers that a bank asks for, and is paid a commission once the loan is signed.
        <BLANKLINE>
        The question that this text answers is: "mortgage broker duties"
        <BLANKLINE>
        Text: An old mill.
        <BLANKLINE>
        The question that this text answers is: "
    """
    if name is None:
        frame, target = parse_template(_FRAME), parse_template("{query}")
        return tuple(
            Prompt(
                f"demonstration {number}",
                "likelihood",
                _after(f'{frame.fill(passage=passage)}{query}"\n\n', frame),
                target,
                (),
                chat=chat,
            )
            for number, (passage, query) in enumerate(_DEMONSTRATIONS, 1)
        )
    prompt = load_prompt(name)
    if prompt.kind != "likelihood":
        raise InputError(
            f"`prompt` {name}: queries are written after a prompt of kind likelihood, such as "
            f"query-likelihood, not {prompt.kind}"
        )
    return (prompt,)


def _after(text: str, frame: Template) -> Template:
    first, *others = frame.parts
    return Template((text + first, *others))
