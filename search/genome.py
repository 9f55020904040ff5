"""Genomes: which tokens of a seed prompt are kept (PromptQuine, arXiv 2506.17930, section 4).

A seed prompt is a sequence of segments: slots for the input, frozen text, and prunable text. A gene
stands for one token of the prunable text, located by its character offsets.

Deviation from the reference code: the text is sliced by those offsets and never decoded from token
ids, so that the genome that keeps every gene reproduces the seed byte for byte.
"""

from collections.abc import Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from rankprompt.errors import InputError
from rankprompt.llm.tokenizer_offsets import Offsets
from rankprompt.prompts.template import Template

__all__ = ["Frozen", "Genome", "Offsets", "Prunable", "SeedPrompt", "Segment", "Slot", "segment"]

Genome: TypeAlias = tuple[bool, ...]
"""A keep-mask over the genes, in the order of the text; True keeps the gene."""


class Frozen(NamedTuple):
    """Text that is never pruned."""

    text: str


class Slot(NamedTuple):
    """A named slot for an input; never pruned."""

    name: str


class Prunable(NamedTuple):
    """Text whose tokens are genes."""

    text: str


Segment: TypeAlias = Frozen | Slot | Prunable


def segment(template: Template, frozen: Sequence[str] = ()) -> tuple[Segment, ...]:
    """Splits a template into slots, frozen text and prunable text.

    Args:
        template: the seed prompt.
        frozen: texts to freeze, each at its last occurrence only: the demonstrations come first,
            and the text around the input (passage markers, the final answer cue) after them.

    Raises:
        InputError: a text to freeze does not occur in the template, or spans a slot.

    Examples:
        >>> from rankprompt.prompts.template import parse_template
        >>> segment(parse_template("Classify. Text: {text}"), ["Text: "])
        (Prunable(text='Classify. '), Frozen(text='Text: '), Slot(name='text'))
    """
    is_frozen = [[False] * len(part) for part in template.parts]
    for text in filter(None, frozen):
        for index in range(len(template.parts) - 1, -1, -2):
            if (start := template.parts[index].rfind(text)) >= 0:
                is_frozen[index][start : start + len(text)] = [True] * len(text)
                break
        else:
            raise InputError(f"the text to freeze is not in the prompt between slots: {text!r}")
    segments: list[Segment] = []
    for index, part in enumerate(template.parts):
        if index % 2:
            segments.append(Slot(part))
            continue
        for fixed, run in groupby(zip(is_frozen[index], part, strict=True), key=itemgetter(0)):
            text = "".join(character for _, character in run)
            segments.append(Frozen(text) if fixed else Prunable(text))
    return tuple(segments)


class SeedPrompt:
    """A seed prompt and its genes.

    The tokenizer reads the seed once, with each slot written as ``{name}``. Whatever offsets the
    tokenizer returns, each character of a prunable segment belongs to exactly one gene, and no
    other character belongs to any:

    * A token that crosses the boundary of a segment contributes its prunable characters as a gene.
    * Overlapping tokens, such as byte-level tokens within one character, form one gene.
    * Empty tokens are ignored. Characters that no token covers belong to the next token's gene or,
      at the end of a segment, form a gene of their own.

    Args:
        segments: the seed, from start to end.
        offsets: the tokenizer of the model that will read the prompt.

    Attributes:
        genes: the texts of the genes, in order.
        whole: the genome that keeps every gene.
        pieces: the seed's text in spans, slots in braces, each with the index of its gene or None.

    Raises:
        InputError: the seed has no prunable text.
    """

    def __init__(self, segments: Sequence[Segment], offsets: Offsets) -> None:
        self._offsets = offsets
        written = "".join(
            f"{{{item.name}}}" if isinstance(item, Slot) else item.text for item in segments
        )
        boundaries = _token_boundaries(offsets(written))
        self.pieces: list[tuple[str, int | None]] = []
        self._slots: dict[int, str] = {}  # names by the index of the piece
        genes: list[str] = []
        end = 0
        for item in segments:
            start = end
            if isinstance(item, Slot):
                self._slots[len(self.pieces)] = item.name
            end += len(item.name) + 2 if isinstance(item, Slot) else len(item.text)
            if not isinstance(item, Prunable):
                self.pieces.append((written[start:end], None))
            elif item.text:
                inner = (boundary for boundary in boundaries if start < boundary < end)
                for low, high in pairwise([start, *inner, end]):
                    self.pieces.append((written[low:high], len(genes)))
                    genes.append(written[low:high])
        if not genes:
            raise InputError("the seed prompt has nothing to prune: give it some text to lose")
        self.genes = tuple(genes)
        self.whole: Genome = (True,) * len(genes)

    def template(self, genome: Genome) -> Template:
        """Gives the prompt of a genome, with all slots of the seed in their order.

        Raises:
            ValueError: the genome has another number of genes than the seed.
        """
        if len(genome) != len(self.genes):
            raise ValueError(f"a genome of {len(genome)} genes for a seed of {len(self.genes)}")
        parts, text = [], ""
        for index, (piece, gene) in enumerate(self.pieces):
            if index in self._slots:
                parts += [text, self._slots[index]]
                text = ""
            elif gene is None or genome[gene]:
                text += piece
        return Template((*parts, text))

    def count_tokens(self, prompt: Template) -> int:
        """Counts the tokens of a pruned prompt, tokenised anew with its slots empty.

        They may be more or fewer than the kept genes, as the neighbours of a pruned token may merge
        or split.
        """
        return len(self._offsets("".join(prompt.parts[::2])))


def _token_boundaries(offsets: Sequence[tuple[int, int]]) -> list[int]:
    """Gives the ends of tokens at which no other token continues, ascending."""
    tokens = [(start, end) for start, end in offsets if start < end]
    inside = {index for start, end in tokens for index in range(start + 1, end)}
    return sorted({end for _, end in tokens} - inside)
