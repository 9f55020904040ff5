"""Templates: texts with named slots, such as ``{query}``."""

import re
from dataclasses import dataclass

__all__ = ["Template", "parse_template"]

_SLOT = re.compile(r"\{\{|\}\}|\{(\w+)\}|[{}]")


@dataclass(frozen=True)
class Template:
    """A text with named slots; ``{{`` and ``}}`` stand for literal braces.

    Attributes:
        parts: literal texts at even indices, slot names at odd ones.

    Examples:
        >>> from rankprompt.prompts.template import parse_template
        >>> template = parse_template("Passage: {passage} Query: {query}")
        >>> template.fill(passage="An old mill.", query="windmills")
        'Passage: An old mill. Query: windmills'
        >>> sorted(template.slots)
        ['passage', 'query']
    """

    parts: tuple[str, ...]

    @property
    def slots(self) -> frozenset[str]:
        """The names of the slots."""
        return frozenset(self.parts[1::2])

    def __str__(self) -> str:
        """The text as it is written in a prompt file."""
        escaped = (part.replace("{", "{{").replace("}", "}}") for part in self.parts)
        return "".join(f"{{{part}}}" if i % 2 else part for i, part in enumerate(escaped))

    def breaks(self, **values: str) -> tuple[int, ...]:
        """The offsets in the filled text at which slots begin, ascending.

        Another filling of the template may share the text up to an offset, so that a model needs to
        compute it only once.
        """
        offsets, length = [], 0
        for i, part in enumerate(self.parts):
            if i % 2:
                offsets.append(length)
            length += len(values[part] if i % 2 else part)
        return tuple(offsets)

    def fill(self, **values: str) -> str:
        """Fills the slots with values, which are inserted verbatim, braces included."""
        return "".join(values[part] if i % 2 else part for i, part in enumerate(self.parts))

    def bind(self, name: str, value: str) -> "Template":
        r"""Makes a value, verbatim, part of the literal text, where the slot ``name`` was.

        An empty value takes the literal text of its line with it, so that no label without a value
        is left.

        Examples:
            >>> from rankprompt.prompts.template import parse_template
            >>> template = parse_template("Task: {task}\nQuery: {query}")
            >>> str(template.bind("task", "Find a {proof}.")), str(template.bind("task", ""))
            ('Task: Find a {{proof}}.\nQuery: {query}', 'Query: {query}')
        """
        parts = [self.parts[0]]
        for slot, after in zip(self.parts[1::2], self.parts[2::2], strict=True):
            if slot != name:
                parts += [slot, after]
            elif value:
                parts[-1] += value + after
            else:
                parts[-1] = parts[-1][: parts[-1].rfind("\n") + 1] + after.partition("\n")[2]
        return Template(tuple(parts))


def parse_template(text: str) -> Template:
    """Parses a template.

    Raises:
        ValueError: a brace is neither doubled nor part of a slot.
    """
    parts, start, literal = [], 0, ""
    for match in _SLOT.finditer(text):
        literal += text[start : match.start()]
        start = match.end()
        if match[1]:
            parts += [literal, match[1]]
            literal = ""
        elif match[0] in ("{{", "}}"):
            literal += match[0][0]
        else:
            raise ValueError(f"a lone {match[0]!r} in {text[:60]!r}: double it, or name a slot")
    return Template((*parts, literal + text[start:]))
