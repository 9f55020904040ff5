"""Language models: the protocol, its back ends, the embedded model, tokenizers.

base: requests, answers, and the protocol of a model. registry: the table of back ends. local:
transformers in this process. rerankers: cross-encoders. openai: any OpenAI-compatible server.
embedded: the default model. special_tokens: escaping. tokenizer_offsets:
tokenizers without their models.
"""

from rankprompt.llm.base import Answer, AsyncLanguageModel, LanguageModel, Request, Usage
from rankprompt.llm.registry import load_model, load_server
from rankprompt.llm.tokenizer_offsets import token_counter

__all__ = [
    "Answer",
    "AsyncLanguageModel",
    "LanguageModel",
    "Request",
    "Usage",
    "load_model",
    "load_server",
    "token_counter",
]
