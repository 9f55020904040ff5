"""Runs encoded requests through a model, in whatever way the model takes without a change."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from transformers import DynamicCache, PreTrainedModel

from rankprompt.llm.base import Answer, Usage
from rankprompt.llm.local.batches import pad_rows
from rankprompt.llm.local.encoding import EncodedRequest
from rankprompt.llm.local.option_logits import read_options
from rankprompt.llm.local.packed_rows import RowPacker
from rankprompt.llm.local.prefix_cache import Prefix
from rankprompt.llm.local.preparation import GenerationSettings

__all__ = ["Runner", "Ways"]

T = TypeVar("T")


class Ways(NamedTuple):
    """How a model may be run without changing its answers (``rankprompt.llm.local.trials``).

    ``pads``: rows of different lengths together; else each row alone. ``changing_length``: past
    this length, each row whole and alone; None for no such length.
    """

    pads: bool
    changing_length: int | None

    @property
    def unusual(self) -> list[str]:
        """What a fingerprint must contain; empty for most models."""
        ways = [] if self.pads else ["rows alone"]
        return [*ways, *([f"whole past {self.changing_length}"] if self.changing_length else [])]


class Starts(Protocol):
    """The shared prefixes of a batch: a ``PrefixCache``, or ``LevelStarts`` on an accelerator."""

    def starts(self, encoded: Sequence[EncodedRequest]) -> tuple[list[Prefix | None], int, int]:
        """Returns each row's prefix, the tokens of all of them, and how many had to be run."""

    @property
    def assemble(
        self,
    ) -> Callable[[Sequence[Prefix | None]], tuple[DynamicCache, torch.Tensor]]:
        """Copies the rows' prefixes into one batch, and gives it with its mask."""


class Runner:
    """Scores options and generates text in batches.

    Args:
        model: in evaluation mode.
        pad: the padding token.
        generation: the settings of greedy generation.
        ways: how the model may be run.
        prefix_cache: of shared prompt prefixes; None runs every prompt whole.
        packer: scores the options of a batch in one row; None pads rows.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        pad: int,
        generation: GenerationSettings,
        ways: Ways,
        prefix_cache: Starts | None,
        packer: RowPacker | None,
    ) -> None:
        self._model, self._pad, self._generation = model, pad, generation
        self._ways, self._prefix_cache, self._packer = ways, prefix_cache, packer
        self._encoder_decoder: bool = model.config.is_encoder_decoder

    def score(self, encoded: Sequence[EncodedRequest]) -> tuple[list[Answer], Usage]:
        """Scores the options of one batch, in the same order."""
        score = self._score_decoder if self._encoder_decoder else self._score_causal
        if self._packer:
            score = self._packer.score

        def score_alone(request: EncodedRequest) -> tuple[Answer, Usage]:
            # Each row's answer has zeros for the options of the other rows.
            rows = [score([request._replace(rows=(row,), bounds=())]) for row in request.rows]
            sums = zip(*(answers[0].loglikelihoods for answers, _ in rows), strict=True)
            return Answer(tuple(map(sum, sums)), request.counts), _total(one for _, one in rows)

        return self._split(encoded, [one.length for one in encoded], score, score_alone)

    def generate(
        self, encoded: Sequence[EncodedRequest], most: int
    ) -> tuple[list[list[int]], Usage]:
        """Continues the contexts of one batch by at most ``most`` tokens, in the same order.

        Returns:
            The tokens after each context, until the slowest text ended; and the usage, in which
            they are not counted.
        """

        def generate_alone(request: EncodedRequest) -> tuple[list[int], Usage]:
            written, usage = self._generate([request._replace(bounds=())], most)
            return written[0], usage

        lengths = [len(one.context) + most for one in encoded]
        return self._split(
            encoded, lengths, lambda batch: self._generate(batch, most), generate_alone
        )

    def _split(
        self,
        encoded: Sequence[EncodedRequest],
        lengths: Sequence[int],
        run: Callable[[Sequence[EncodedRequest]], tuple[list[T], Usage]],
        run_alone: Callable[[EncodedRequest], tuple[T, Usage]],
    ) -> tuple[list[T], Usage]:
        """Runs the requests together that may be, and the others alone."""
        pads, changes = self._ways
        together = [pads and (changes is None or length <= changes) for length in lengths]
        usages: list[Usage] = []
        batch: Iterator[T] = iter(())
        if any(together):
            found, usage = run([one for one, joins in zip(encoded, together, strict=True) if joins])
            usages.append(usage)
            batch = iter(found)
        results: list[T] = []
        for request, joins in zip(encoded, together, strict=True):
            if joins:
                results.append(next(batch))
            else:
                result, usage = run_alone(request)
                usages.append(usage)
                results.append(result)
        return results, _total(usages)

    def _score_causal(self, encoded: Sequence[EncodedRequest]) -> tuple[list[Answer], Usage]:
        rows = [(request, row) for request in encoded for row in request.rows]
        ids, mask, past, usage = self._suffixes(
            encoded, [(*request.context, *row.stem) for request, row in rows]
        )
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        keep = 1 + max(len(row.stem) for _, row in rows)
        logits = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=past,
            logits_to_keep=keep,
            use_cache=past is not None,
        ).logits
        firsts = [keep - 1 - len(row.stem) for _, row in rows]
        return read_options(encoded, logits[:, -keep:], firsts), usage

    def _suffixes(
        self, encoded: Sequence[EncodedRequest], rows: Sequence[Sequence[int]]
    ) -> tuple[torch.Tensor, torch.Tensor, DynamicCache | None, Usage]:
        """Prepares what is left to run of each row after its cached prefix, padded on the left.

        So all rows end together, and so do the positions that are read. A request has as many rows
        as it has rows of options, or one.

        Returns:
            The tokens, [rows, longest]; the mask, with the prefixes before them; the prefixes' keys
            and values, if any; the usage of running the tokens.
        """
        starts: list[Prefix | None] = [None] * len(rows)
        known = computed = 0
        if self._prefix_cache:
            starts, known, computed = self._prefix_cache.starts(encoded)
        suffixes = [
            row[prefix.length if prefix else 0 :] for row, prefix in zip(rows, starts, strict=True)
        ]
        ids, mask, usage = pad_rows(suffixes, self._pad, self._model.device)
        past = None
        if self._prefix_cache and any(starts):
            past, prefix_mask = self._prefix_cache.assemble(starts)
            mask = torch.cat([prefix_mask, mask], dim=1)
        return ids, mask, past, Usage(usage.tokens + computed, usage.padding, known - computed)

    def _score_decoder(self, encoded: Sequence[EncodedRequest]) -> tuple[list[Answer], Usage]:
        rows = [(request, row) for request in encoded for row in request.rows]
        contexts = [request.context for request, _ in rows]
        ids, mask, usage = pad_rows(contexts, self._pad, self._model.device, right=True)
        first = self._generation["decoder_start_token_id"]
        width = 1 + max(len(row.stem) for _, row in rows)
        target = torch.tensor(
            [[first, *row.stem, *[self._pad] * (width - 1 - len(row.stem))] for _, row in rows],
            device=self._model.device,
        )
        logits = self._model(input_ids=ids, attention_mask=mask, decoder_input_ids=target).logits
        decoded = sum(1 + len(row.stem) for _, row in rows)
        usage = Usage(usage.tokens + decoded, usage.padding + target.numel() - decoded)
        return read_options(encoded, logits, [0] * len(rows)), usage

    def _generate(
        self, encoded: Sequence[EncodedRequest], most: int
    ) -> tuple[list[list[int]], Usage]:
        contexts = [request.context for request in encoded]
        past = None
        if self._encoder_decoder:
            ids, mask, usage = pad_rows(contexts, self._pad, self._model.device, right=True)
        else:
            ids, mask, past, usage = self._suffixes(encoded, contexts)
        generate: Any = self._model.generate
        output = generate(
            input_ids=ids,
            attention_mask=mask,
            past_key_values=past,
            do_sample=False,
            max_new_tokens=most,
            pad_token_id=self._pad,
            **self._generation,
        )
        start = 1 if self._encoder_decoder else ids.shape[1]
        return output[:, start:].tolist(), usage


def _total(usages: Iterable[Usage]) -> Usage:
    return Usage(*map(sum, zip(*usages, strict=True)))
