"""Genomes: which tokens of a seed prompt are kept.

The seed prompt is a chain of segments. Genes stand for the tokens of its prunable segments, found
by character offsets: text is sliced, never decoded from token ids, so a genome of all ones is the
seed byte for byte.
"""

from collections.abc import Callable, Sequence
from itertools import groupby, pairwise
from typing import Any, NamedTuple, TypeAlias

from rankprompt.errors import InputError, ModelError
from rankprompt.prompts.template import Template

__all__ = [
    "Frozen",
    "Genome",
    "Offsets",
    "Prunable",
    "SeedPrompt",
    "Segment",
    "Slot",
    "segment",
    "token_offsets",
]

Genome: TypeAlias = tuple[bool, ...]
"""Which genes are kept, in the order of the text."""

Offsets: TypeAlias = Callable[[str], Sequence[tuple[int, int]]]
"""A tokenizer: where each token of a text begins and ends, in characters."""


class Frozen(NamedTuple):
    """A text that is never pruned."""

    text: str


class Slot(NamedTuple):
    """A place for an input, by name; never pruned."""

    name: str


class Prunable(NamedTuple):
    """A text whose tokens are genes."""

    text: str


Segment: TypeAlias = Frozen | Slot | Prunable


def segment(template: Template, frozen: Sequence[str] = ()) -> tuple[Segment, ...]:
    """Splits a template into segments: slots, frozen texts, and all else prunable.

    Args:
        template: the seed prompt.
        frozen: texts, each frozen where it occurs last: demonstrations come first, and what holds
            the input (a passage's marker, the final cue) after them.

    Raises:
        InputError: one of the frozen texts is not there, or runs over a slot.
    """
    held = [[False] * len(part) for part in template.parts]
    for text in filter(None, frozen):
        for place in range(len(template.parts) - 1, -1, -2):
            if (start := template.parts[place].rfind(text)) >= 0:
                held[place][start : start + len(text)] = [True] * len(text)
                break
        else:
            raise InputError(f"the text to freeze is not in the prompt between slots: {text!r}")
    segments: list[Segment] = []
    for place, part in enumerate(template.parts):
        if place % 2:
            segments.append(Slot(part))
            continue
        for fixed, run in groupby(zip(held[place], part, strict=True), key=lambda pair: pair[0]):
            plain = "".join(character for _, character in run)
            segments.append(Frozen(plain) if fixed else Prunable(plain))
    return tuple(segments)


def token_offsets(tokenizer: Any) -> Offsets:
    """The offsets of a transformers tokenizer, without special tokens.

    Raises:
        ModelError: it knows no offsets, not being a "fast" one.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"{type(tokenizer).__name__} gives no character offsets, so its tokens cannot be "
            "pruned; use a model with a fast tokenizer (tokenizer.json)"
        )

    def offsets(text: str) -> Sequence[tuple[int, int]]:
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        found: Sequence[tuple[int, int]] = encoded["offset_mapping"]
        return found

    return offsets


class _Piece(NamedTuple):
    """A stretch of the seed: a slot, or text that is one gene's or no gene's."""

    text: str
    slot: bool = False
    gene: int | None = None


class SeedPrompt:
    """A seed prompt and its genes.

    The tokenizer reads the seed once, with each slot shown as ``{name}``. Whatever it answers,
    every character of a prunable segment belongs to exactly one gene, and no other character to
    any. So:

    * A token that straddles the edge of a segment gives its prunable characters as a gene.
    * Tokens that overlap, as byte-level tokens within one character do, are one gene.
    * Empty tokens are ignored. Characters that no token covers belong to the token after them, or
      else, at a segment's end, are a gene of their own.

    Args:
        segments: the seed, from start to end.
        offsets: the tokenizer of the model that will read the prompt.

    Raises:
        InputError: there is nothing to prune.
    """

    def __init__(self, segments: Sequence[Segment], offsets: Offsets) -> None:
        self._offsets = offsets
        shown = "".join(
            f"{{{one.name}}}" if isinstance(one, Slot) else one.text for one in segments
        )
        cuts = _cuts(offsets(shown))
        pieces: list[_Piece] = []
        genes: list[str] = []
        start = 0
        for one in segments:
            if isinstance(one, Slot):
                pieces.append(_Piece(one.name, slot=True))
                start += len(one.name) + 2
                continue
            end = start + len(one.text)
            if isinstance(one, Prunable):
                inner = [start, *(cut for cut in cuts if start < cut < end), end]
                for low, high in pairwise(inner):
                    if low < high:
                        pieces.append(_Piece(shown[low:high], gene=len(genes)))
                        genes.append(shown[low:high])
            else:
                pieces.append(_Piece(one.text))
            start = end
        if not genes:
            raise InputError("the seed prompt has nothing to prune: give it some text to lose")
        self._pieces = tuple(pieces)
        self.genes = tuple(genes)
        """The texts of the genes, in order."""

    @property
    def whole(self) -> Genome:
        """The genome that keeps everything."""
        return (True,) * len(self.genes)

    @property
    def pieces(self) -> tuple[tuple[str, int | None], ...]:
        """The seed as it is shown, in pieces, each with the number of its gene if it has one."""
        return tuple(
            (f"{{{one.text}}}" if one.slot else one.text, one.gene) for one in self._pieces
        )

    def template(self, genome: Genome) -> Template:
        """The prompt of a genome, with all slots of the seed in their order.

        Raises:
            ValueError: the genome is of another seed.
        """
        if len(genome) != len(self.genes):
            raise ValueError(f"a genome of {len(genome)} genes for a seed of {len(self.genes)}")
        parts, plain = [], ""
        for text, slot, gene in self._pieces:
            if slot:
                parts += [plain, text]
                plain = ""
            elif gene is None or genome[gene]:
                plain += text
        return Template((*parts, plain))

    def render(self, genome: Genome) -> str:
        """The prompt of a genome as it stands in a prompt file: slots in braces, braces doubled."""
        return str(self.template(genome))

    def tokens(self, genome: Genome) -> int:
        """The tokens of the prompt when it is tokenised anew, its slots empty.

        This may differ from the genes kept: the neighbours of what is gone may merge or split.
        """
        template = self.template(genome)
        return len(self._offsets("".join(template.parts[::2])))


def _cuts(offsets: Sequence[tuple[int, int]]) -> list[int]:
    """Where a text may be cut, ascending: where a token ends and no other goes on."""
    tokens = [(start, end) for start, end in offsets if start < end]
    inside = {place for start, end in tokens for place in range(start + 1, end)}
    return sorted({end for _, end in tokens} - inside)
