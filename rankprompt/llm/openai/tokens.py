"""Counts and cuts the tokens of a model behind a server: by its tokenizer, or by an estimate."""

import logging
from bisect import bisect_right
from typing import Protocol

from rankprompt.errors import ModelError
from rankprompt.files.home import expand
from rankprompt.llm.base import Request
from rankprompt.llm.longest_prefix import cut_to_fit
from rankprompt.llm.openai.tokenize_endpoint import SAMPLE, TokenizeEndpoint
from rankprompt.llm.special_tokens import LIKELY, escape

__all__ = [
    "ByteEstimate",
    "FolderTokenizer",
    "ServerTokenizer",
    "TokenCounter",
    "count_by",
    "estimate_tokens",
]

log = logging.getLogger("rankprompt")

# Cutting a text changes how its last word is read, which may be a few tokens more.
_UNSURE = 4
# A chat template's own tokens, generously.
_TEMPLATE = 32
# A reranker's, around the query and the passage.
_BETWEEN = 4


def estimate_tokens(text: str) -> int:
    """Estimates a text's tokens as a third of its bytes, which is rather too many."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // 3)


class TokenCounter(Protocol):
    """How the tokens of a server's model are counted."""

    @property
    def description(self) -> str:
        """What counts, for the manifest: "tokenizer FOLDER", "server" or "estimate"."""

    def context_length(self, assumed: int) -> int:
        """The maximum length of prompt and answer together, in tokens.

        Args:
            assumed: what holds where the server does not say.
        """

    def length(self, request: Request, longest: int) -> int:
        """Counts a request's tokens: prompt, chat template and the longest answer together.

        Args:
            request: as it is sent; ``chat`` says whether the template is filled in.
            longest: an estimate of the tokens of the longest answer.
        """

    def truncate(self, text: str, tokens: int) -> str:
        """Returns the longest prefix of whole characters with at most ``tokens`` tokens."""

    def escape(self, text: str) -> str:
        """Rewrites untrusted text so that the tokenizer reads no special token in it."""

    def close(self) -> None:
        """Closes the connection, if any."""


class ByteEstimate:
    """Estimates tokens from bytes, where no tokenizer is known.

    A token counts as three bytes of UTF-8: English has more bytes a token, Chinese about as many,
    so most texts have fewer tokens than estimated. Long numbers may have more, and the server then
    refuses what does not fit.
    """

    description = "estimate"

    def __init__(self) -> None:
        self._said = False

    def context_length(self, assumed: int) -> int:
        """Returns ``assumed``: the server says nothing."""
        return assumed

    def length(self, request: Request, longest: int) -> int:
        """Estimates a request's tokens."""
        passage = 0
        if request.passage is not None:
            passage = estimate_tokens(request.passage) + _BETWEEN
        return estimate_tokens(request.prompt) + passage + longest + _TEMPLATE * request.chat

    def truncate(self, text: str, tokens: int) -> str:
        """Returns a prefix of whole characters that probably has at most ``tokens`` tokens."""
        content = text.encode("utf-8", "surrogatepass")
        end = max(0, 3 * tokens)
        if len(content) <= end:
            return text
        if not self._said:
            log.warning(
                "texts are cut by an estimate, three bytes a token, for the server has no "
                "/tokenize; the model's own tokenizer cuts exactly: --tokenizer FOLDER"
            )
            self._said = True
        while end and content[end] & 0xC0 == 0x80:  # inside a character
            end -= 1
        return content[:end].decode("utf-8", "surrogatepass")

    def escape(self, text: str) -> str:
        """Rewrites untrusted text so that nothing in it looks like a special token."""
        return escape(text, LIKELY)

    def close(self) -> None:
        """There is no connection."""


class FolderTokenizer:
    """The model's own tokenizer, from a folder: all is counted and cut as for a local model.

    Args:
        name: a folder, or ``smollm2-135m``.
        endpoint: the server's ``/tokenize``, which tells the context length and is compared with.

    Raises:
        ModelError: there is no tokenizer that can be read.
    """

    def __init__(self, name: str, endpoint: TokenizeEndpoint) -> None:
        from transformers import AutoTokenizer

        from rankprompt.llm.embedded import resolve
        from rankprompt.llm.local.model_files import first_line, quieten_transformers
        from rankprompt.llm.local.preparation import special_tokens
        from rankprompt.llm.special_tokens import special_token_pattern

        folder = expand(resolve(name))
        if not folder.is_dir():
            raise ModelError(f"`tokenizer` {name}: no such folder")
        quieten_transformers()
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
        except (
            Exception
        ) as error:  # a damaged file makes transformers raise all kinds of exceptions
            raise ModelError(f"`tokenizer` {name}: cannot be read: {first_line(error)}") from error
        self.description = f"tokenizer {name}"
        self._endpoint, self._compared = endpoint, False
        self._special = special_token_pattern(special_tokens(self._tokenizer))

    def context_length(self, assumed: int) -> int:
        """The shorter one of the server's and the tokenizer's."""
        self._compare()
        limit = self._endpoint.context_length or assumed
        return min(limit, self._tokenizer.model_max_length)

    def _compare(self) -> None:
        """Warns once where the server reads other tokens."""
        if self._compared:
            return
        self._compared = True
        ours = self._tokenizer(SAMPLE, add_special_tokens=False).input_ids
        theirs = self._endpoint.sample
        if theirs and list(theirs) != ours:
            log.warning(
                "the %s reads %d tokens in a sample where the server reads %d others: is it the "
                "model's own?", self.description, len(ours), len(theirs),
            )  # fmt: skip

    def length(self, request: Request, longest: int) -> int:
        """Counts a request's tokens, as for a local model."""
        del longest
        if request.passage is not None:
            # As lists, because an empty passage by itself would count as none.
            return len(self._tokenizer([request.prompt], [request.passage]).input_ids[0])
        from rankprompt.llm.local.encoding import encode

        return encode(self._tokenizer, request).size(request.max_tokens)

    def truncate(self, text: str, tokens: int) -> str:
        """Returns the longest prefix of whole characters with at most ``tokens`` tokens."""
        from rankprompt.llm.local.encoding import truncate

        return truncate(self._tokenizer, text, tokens)

    def escape(self, text: str) -> str:
        """Rewrites untrusted text so that the tokenizer reads no special token in it."""
        return escape(text, self._special)

    def close(self) -> None:
        """Closes the connection."""
        self._endpoint.close()


class ServerTokenizer:
    """The server's ``/tokenize`` cuts texts, or else an estimate; the first use finds out which.

    Requests are not counted by the server, because a plan counts very many: their lengths are
    estimated.
    """

    def __init__(self, endpoint: TokenizeEndpoint) -> None:
        self._endpoint, self._estimate = endpoint, ByteEstimate()

    @property
    def description(self) -> str:
        """Whether the server counts."""
        return "server" if self._endpoint.sample else self._estimate.description

    def context_length(self, assumed: int) -> int:
        """As the server says, or else ``assumed``."""
        return self._endpoint.context_length or assumed

    def length(self, request: Request, longest: int) -> int:
        """Estimates a request's tokens."""
        return self._estimate.length(request, longest)

    def truncate(self, text: str, tokens: int) -> str:
        """Returns the longest prefix of whole characters with at most ``tokens`` tokens.

        Raises:
            ModelError: the server counts no longer.
        """
        size = len(text.encode("utf-8", "surrogatepass"))
        if size <= tokens:  # no token is shorter than a byte
            return text
        if not self._endpoint.sample:
            return self._estimate.truncate(text, tokens)
        ids, ends, _ = self._endpoint.read(text)
        if len(ids) <= tokens:
            return text
        in_bytes, known = ends[-1:] == (size,), ends[-1:] in ((size,), (len(text),))

        def fits(end: int) -> bool:
            if known:
                before = bisect_right(ends, len(text[:end].encode()) if in_bytes else end)
                if abs(before - tokens) > _UNSURE:
                    return before < tokens
            return len(self._endpoint.read(text[:end]).ids) <= tokens

        return cut_to_fit(text, tokens, fits)

    def escape(self, text: str) -> str:
        """Rewrites untrusted text so that nothing in it looks like a special token."""
        return self._estimate.escape(text)

    def close(self) -> None:
        """Closes the connection."""
        self._endpoint.close()


def count_by(tokenizer: str | None, endpoint: TokenizeEndpoint) -> TokenCounter:
    """Returns what counts the tokens of a model behind a server.

    Args:
        tokenizer: a folder, or ``smollm2-135m``; None for the server's ``/tokenize`` or an
            estimate.
        endpoint: the server's ``/tokenize``, if it has one.

    Raises:
        ModelError: there is no tokenizer that can be read.
    """
    return FolderTokenizer(tokenizer, endpoint) if tokenizer else ServerTokenizer(endpoint)
