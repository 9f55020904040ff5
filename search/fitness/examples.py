"""What tasks with examples share: the seed prompt, and a request an example."""

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from hashlib import blake2b
from typing import TypeVar

from rankprompt.llm.base import Request
from rankprompt.prompts.template import Template, parse_template
from rankprompt.search.genome import Segment, segment
from rankprompt.search.splits import Example, SplitExamples
from rankprompt.search.tasks import ExampleTask

__all__ = [
    "about",
    "digest",
    "labels",
    "make_request",
    "part",
    "seed_segments",
    "shared_start",
    "split_answer",
]

_T = TypeVar("_T")


def part(items: Sequence[_T], kinds: Sequence[Hashable], share: float) -> list[_T]:
    """A share of items, rounded up, in their order; of each kind as many as can be.

    A smaller share's items are among a greater share's, and all are the items as they stand.
    """
    seen: Counter[Hashable] = Counter()
    turns = []
    for kind in kinds:
        turns.append(seen[kind])
        seen[kind] += 1
    taken = sorted(range(len(items)), key=turns.__getitem__)[: math.ceil(share * len(items))]
    return [items[place] for place in sorted(taken)]


def split_answer(template: Template) -> tuple[Template, str]:
    """The template up to the answer's slot, and the blanks that stand between the two.

    A model's tokens take a blank before them, so these belong to the answer.
    """
    cue = template.parts[-3]
    stripped = cue.rstrip()
    return Template((*template.parts[:-3], stripped)), cue[len(stripped) :]


def seed_segments(task: ExampleTask, demonstrations: Sequence[Example]) -> tuple[Segment, ...]:
    """The seed: instruction, demonstrations, and the template up to the answer.

    Demonstrations come first and the input last, so that a genome's examples share its start.
    """
    shown = [task.template.fill(**one.values).rstrip() for one in demonstrations]
    before = "".join(f"{one}{task.separator}" for one in filter(None, [task.instruction, *shown]))
    question, _ = split_answer(task.template)
    whole = Template((before + question.parts[0], *question.parts[1:]))
    return segment(whole, task.frozen)


def make_request(
    prompt: str,
    example: Example,
    *,
    options: tuple[str, ...] = (),
    max_tokens: int = 0,
    chat: bool = False,
) -> Request:
    """The request about an example; what all examples share is marked."""
    template = parse_template(prompt)
    text = template.fill(**example.values)
    return Request(text, options, max_tokens, chat, (shared_start(template),))


def shared_start(template: Template) -> int:
    """Up to which character the prompts of a genome are the same, token by token.

    That is the first slot: further starts would be shared with few others. The blanks before it may
    be a token, or go into the next one, as the input wants it: with them, a genome would have two
    starts.
    """
    return len(template.parts[0].rstrip())


def labels(splits: SplitExamples) -> dict[str, int]:
    """How many labels each split uses."""
    return {name: len(examples) for name, examples in splits._asdict().items()}


def about(splits: SplitExamples) -> Mapping[str, object]:
    """Which examples each split holds, as a digest of their content and order."""
    return {
        name: digest([f"{one.label} {list(one.values.items())}" for one in examples])
        for name, examples in splits._asdict().items()
    }


def digest(texts: Sequence[str]) -> str:
    """How many texts there are, and a digest that changes when one does."""
    found = blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=8)
    return f"{len(texts)}: {found.hexdigest()}"
