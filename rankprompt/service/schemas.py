"""The bodies of requests and answers, as the protocols' clients write and read them."""

import json
from contextvars import ContextVar
from typing import Annotated, Any, Literal, Self, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

__all__ = [
    "MAX_DOCUMENTS",
    "TOO_MANY",
    "CohereAnswer",
    "CohereRequest",
    "Document",
    "Options",
    "RerankAnswer",
    "RerankRequest",
    "ScoreAnswer",
    "ScoreRequest",
    "TeiRank",
    "TeiRequest",
]

MAX_DOCUMENTS: ContextVar[int] = ContextVar("max_documents", default=10_000)
"""The most elements of a list in a body; longer ones are refused before their elements are read."""

TOO_MANY = "too_many"
"""The type of the error of a list that is longer."""


def _check_characters(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("string_unicode", "half a character") from None
    return text


def _to_whole(number: object) -> object:
    """JSON has one kind of number: 3.0 is a whole one."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _check_number(given: object) -> object:
    if isinstance(given, list) and len(given) > (limit := MAX_DOCUMENTS.get()):
        told = f"{len(given):,} documents are more than the {limit:,} that this server takes"
        raise PydanticCustomError(TOO_MANY, "{told}", {"told": told})
    return given


AnyText: TypeAlias = Annotated[str, AfterValidator(_check_characters)]
Text: TypeAlias = Annotated[str, StringConstraints(min_length=1, pattern=r"\S")]
# Names of methods, joined by commas, with the number that each stage reranks.
Methods: TypeAlias = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9,@_-]+$")
]
Instruction: TypeAlias = Annotated[Text, StringConstraints(max_length=10_000)]
Count: TypeAlias = Annotated[int, BeforeValidator(_to_whole), Field(ge=1, le=10**9)]

_Item = TypeVar("_Item")
# Each wrong element would have an error of its own, which take far more time and memory than they
# are worth: the first is enough.
_List: TypeAlias = Annotated[list[_Item], Field(min_length=1, fail_fast=True)]
Several: TypeAlias = Annotated[_List[_Item], BeforeValidator(_check_number)]


class _Body(BaseModel):
    """A body without type conversions; fields that are unknown are ignored, as servers do."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Document(_Body):
    """A document with its text; its other fields come back with it."""

    model_config = ConfigDict(strict=True, extra="allow")

    text: AnyText
    title: AnyText | None = None

    @model_validator(mode="after")
    def check_others(self) -> Self:
        """Refuses what could not be given back as JSON."""
        try:
            json.dumps(self.model_extra, allow_nan=False, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise PydanticCustomError("json", "must be JSON in UTF-8, without NaN") from None
        return self


class Options(_Body):
    """What rankprompt adds to a request, all of it optional and within the server's limits."""

    instruction: Instruction | None = Field(
        None, description="The task, for models and prompts that read one."
    )
    method: Methods | None = Field(
        None,
        description="The ranking method, such as `pointwise`, `heapsort` or `bradley-terry`, in "
        "place of the server's.",
    )
    k: Count | None = Field(None, description="Methods that stop early rank the first k.")
    threshold: float | None = Field(
        None, ge=0, le=1, description="Leave out documents whose score is below this."
    )
    max_prompts: Count | None = Field(
        None,
        description="Ask the model at most this many prompts; questions beyond count as ties.",
    )
    explain: bool | None = Field(
        None, description="Also give the questions that were asked, and their answers."
    )


class RerankRequest(Options):
    """A request in the form of Jina, vLLM and LiteLLM; Cohere's version 1 agrees with it."""

    model: str | None = Field(None, description="Ignored: a server has one model.")
    query: Text
    documents: Several[AnyText | Document]
    top_n: Count | None = Field(None, description="The most results; all where it is left out.")
    return_documents: bool | None = Field(None, description="Give the documents' texts back.")


class CohereRequest(Options):
    """A request in the form of Cohere's version 2."""

    model: str | None = Field(None, description="Ignored: a server has one model.")
    query: Text
    documents: Several[AnyText]
    top_n: Count | None = Field(None, description="The most results; all where it is left out.")
    max_tokens_per_doc: Count | None = Field(
        None, description="Ignored: a passage is cut to what the model reads."
    )


class TeiRequest(Options):
    """A request in the form of Text Embeddings Inference."""

    query: Text
    texts: Several[AnyText]
    raw_scores: bool = Field(
        False, description="Give the model's own numbers in place of scores from 0 to 1."
    )
    return_text: bool = Field(False, description="Give the texts back.")
    truncate: bool | None = Field(
        None, description="Ignored: a passage is always cut to what the model reads."
    )


Texts: TypeAlias = Annotated[Text | _List[Text], BeforeValidator(_check_number)]


class ScoreRequest(_Body):
    """A request in the form of vLLM: one query with several documents, or as many of each."""

    model: str | None = Field(None, description="Ignored: a server has one model.")
    queries: Texts | None = None
    documents: Texts | None = None
    text_1: Texts | None = Field(None, description="Another name of `queries`.")
    text_2: Texts | None = Field(None, description="Another name of `documents`.")


class Cost(BaseModel):
    """What an answer cost."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int = 0
    questions: int
    unasked: int = Field(0, description="Questions that the budget did not reach.")
    prompts: int
    prompts_from_journal: int = 0
    seconds: float
    cost: float


class AskedQuestion(BaseModel):
    """A question that was asked, and its answer."""

    kind: Literal["comparison", "grading", "selection", "listing"]
    indices: list[int]
    answer: float | list[float] | None = None
    answered: bool
    stage: int


class _Answer(BaseModel):
    usage: Cost
    meaning: str = Field(description="What the scores mean, such as probability of relevance.")
    explanation: list[AskedQuestion] | None = None


class Result(BaseModel):
    """A ranked document: its position among those given, and its score from 0 to 1."""

    index: int
    relevance_score: float
    document: dict[str, Any] | None = None


class RerankAnswer(_Answer):
    """The ranked documents, best first."""

    id: str
    model: str
    results: list[Result]


class CohereResult(BaseModel):
    """A ranked document."""

    index: int
    relevance_score: float


class ApiVersion(BaseModel):
    """The version of the protocol."""

    version: str = "2"


class BilledUnits(BaseModel):
    """Cohere's unit: a query with up to a hundred documents."""

    search_units: int


class Meta(BaseModel):
    """What Cohere's clients read beside the results."""

    api_version: ApiVersion = ApiVersion()
    billed_units: BilledUnits


class CohereAnswer(_Answer):
    """The ranked documents, best first."""

    id: str
    results: list[CohereResult]
    meta: Meta


class TeiRank(BaseModel):
    """A ranked text."""

    index: int
    score: float
    text: str | None = None


class Score(BaseModel):
    """The score of a pair of texts."""

    index: int
    object: Literal["score"] = "score"
    score: float


class ScoreAnswer(BaseModel):
    """Scores in the order of the pairs."""

    id: str
    object: Literal["list"] = "list"
    created: int
    model: str
    data: list[Score]
    usage: Cost
