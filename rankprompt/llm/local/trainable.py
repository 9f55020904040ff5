"""A causal language model with a LoRA adapter to train, which reads prompts as ``LocalModel`` does.

The weights are not prepacked, since a gradient must pass through them. Where this machine computes
faster in bfloat16, the products of the blocks do (autocast); all else is in float32, the adapter's
weights and the logits, too.
"""

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear

from rankprompt.errors import ModelError, naming_extras, require
from rankprompt.llm.base import Request
from rankprompt.llm.local import preparation, processor
from rankprompt.llm.local.batch_encoding import Encoder
from rankprompt.llm.local.batches import pad_rows
from rankprompt.llm.local.chat_template import ChatTemplate
from rankprompt.llm.local.encoding import EncodedRequest, make_shareable
from rankprompt.llm.local.hidden_states import layers_of
from rankprompt.llm.local.loading import load_pair, resolve_device, resolve_dtype
from rankprompt.llm.local.trials import heeds_padding, trial, writes_space
from rankprompt.llm.special_tokens import escape, special_token_pattern

__all__ = ["TrainableModel"]


class TrainableModel:
    """A causal language model whose adapter is trained, and nothing else of it.

    It has no dropout: the same prompts and weights give the same logits.

    Args:
        source: a folder, a ``.gguf`` file or a hub id.
        shown_as: the name to show; None for the source.
        dtype: the number format of products; "auto" for the quicker one.
        threads: CPU threads; None for as many as this process may use.

    Attributes:
        name: the name to show.
        dtype: the number format of products, such as "bfloat16".
        device: where the model is.
        context_length: the most tokens of a prompt with its answer.
        fingerprint: of the weights without the adapter, the tokenizer and the settings.

    Raises:
        ModelError: the model cannot be loaded, is an encoder-decoder, or cannot run rows of
            different lengths together.
        MissingPackageError: torch or peft is not installed.
    """

    def __init__(
        self,
        source: str,
        *,
        shown_as: str | None = None,
        dtype: str = "auto",
        threads: int | None = None,
    ) -> None:
        require("torch")
        require("peft")
        self.name, self.device = shown_as or source, resolve_device("auto")
        if self.device.type == "cpu":
            processor.use_threads(threads)
        products = resolve_dtype(dtype, self.device)
        self.dtype = str(products).removeprefix("torch.")
        model, tokenizer = load_pair(source, dtype=torch.float32, device=self.device)
        if model.config.is_encoder_decoder:
            raise ModelError(f"{self.name} is an encoder-decoder; name a causal language model")
        self._tokenizing, self._tokenizer = make_shareable(tokenizer), tokenizer
        chat = ChatTemplate(tokenizer, self.name) if tokenizer.chat_template else None
        if chat:
            chat.settle_lead(lambda text: writes_space(model, tokenizer, text))
        pad = tokenizer.pad_token_id
        self._pad: int = pad if pad is not None else tokenizer.eos_token_id or 0
        if not heeds_padding(model, trial(model), self._pad, self.name):
            raise ModelError(
                f"{self.name} cannot run prompts of different lengths together, as a training must"
            )
        self.fingerprint = preparation.fingerprint(
            model, tokenizer, {}, [chat.signature] if chat else []
        )
        self.context_length = preparation.context_length(model, tokenizer)
        self._special = special_token_pattern(preparation.special_tokens(tokenizer))
        self._encoder = Encoder(tokenizer, chat=chat)
        self._model: Any = model
        self._autocast: AbstractContextManager[object]
        self._products, self._autocast = products, nullcontext()
        if products != torch.float32:
            _project_in_float32(model)
            self._autocast = torch.autocast(self.device.type, products)

    def add_adapter(self, rank: int, scale: int, seed: int) -> None:
        """Puts a new adapter on the linear layers of the upper half of the blocks.

        The gradient ends where the lower half begins, whose blocks cost a forward pass alone.

        Args:
            rank: of each product that is added to a weight.
            scale: what the product is multiplied by.
            seed: of the weights that it begins with; it changes nothing yet.

        Raises:
            ModelError: PEFT knows no way to adapt such a model.
        """
        with naming_extras():
            import peft
        blocks = layers_of(self._model)
        paths = {id(module): path for path, module in self._model.named_modules()}
        targets = {
            path.rpartition(".")[2]
            for path, module in blocks.named_modules()
            if isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"
        }
        config = peft.LoraConfig(
            r=rank,
            lora_alpha=scale * rank,
            target_modules=sorted(targets),
            layers_to_transform=list(range(len(blocks) // 2, len(blocks))),
            layers_pattern=paths[id(blocks)].rpartition(".")[2],
            task_type="CAUSAL_LM",
        )
        try:
            with warnings.catch_warnings(), torch.random.fork_rng():
                warnings.simplefilter("ignore")  # of PEFT's own use of transformers
                torch.manual_seed(seed)
                self._model = peft.get_peft_model(self._model, config).eval()
        except (ValueError, TypeError, NotImplementedError) as error:
            reason = " ".join(str(error).split())
            raise ModelError(f"{self.name}: PEFT cannot adapt this model: {reason}") from error
        for module in blocks.modules():
            # Rounded once: autocast would round the weights that stay as they are at each pass.
            if isinstance(module, nn.Linear) and not module.weight.requires_grad:
                module.weight.data = module.weight.data.to(self._products)

    @property
    def weights(self) -> nn.ParameterList:
        """The adapter's weights, in the order of its layers: the very ones that are trained."""
        return nn.ParameterList(one for one in self._model.parameters() if one.requires_grad)

    @property
    def adapted(self) -> Any:
        """PEFT's model."""
        return self._model

    def last_logits(self, rows: Sequence[Sequence[int]]) -> torch.Tensor:
        """The logits after the last token of each row, shape (rows, vocabulary), in float32.

        Args:
            rows: the tokens of each row.
        """
        ids, mask, _ = pad_rows(rows, self._pad, self.device)
        with self._autocast:
            logits: torch.Tensor = self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
                logits_to_keep=1,
                use_cache=False,
            ).logits
        return logits[:, -1].float()

    def encode(self, requests: Sequence[Request]) -> list[EncodedRequest]:
        """Encodes requests, in the same order, as a ``LocalModel`` reads them."""
        with self._tokenizing:
            return self._encoder(requests)

    def length(self, request: Request) -> int:
        """Counts a request's tokens: prompt, chat template and the longest answer together."""
        return self.encode([request])[0].size(request.max_tokens)

    def truncate(self, text: str, tokens: int) -> str:
        """Returns the longest prefix of whole characters with at most ``tokens`` tokens."""
        with self._tokenizing:
            return self._encoder.truncate(text, tokens)

    def escape(self, text: str) -> str:
        """Rewrites untrusted text so that the tokenizer reads no special token in it."""
        return escape(text, self._special)


def _project_in_float32(model: Any) -> None:
    """Makes the model compute its logits in float32 under autocast, whose rounding hides much."""
    head = model.get_output_embeddings()

    def forward(states: torch.Tensor) -> torch.Tensor:
        with torch.autocast(states.device.type, enabled=False):
            return linear(states.float(), head.weight, head.bias)

    head.forward = forward
