"""The prompts, adapters and judges for each kind of question, and the defaults."""

import re
from collections.abc import Callable
from typing import Any, TypeAlias, cast

from rankprompt.errors import InputError
from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel
from rankprompt.judges.adapters.base import Adapter, PointwiseAdapter
from rankprompt.judges.adapters.listwise import LikeliestLabelsFirst, WrittenPermutation
from rankprompt.judges.adapters.log_odds import Relevance
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.adapters.pointwise import ExpectedGrade, QueryLikelihood, WrittenGrade
from rankprompt.judges.adapters.setwise import Selected, SelectedLabel
from rankprompt.judges.guard import AnswerGuard
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.judges.simulated.error_model import ErrorModel
from rankprompt.judges.simulated.pairwise_oracle import PairwiseOracle
from rankprompt.judges.simulated.single_order_oracle import SingleOrderOracle
from rankprompt.judges.single_order import SingleOrderJudge
from rankprompt.llm.adapter_folders import find_adapted, own_prompt
from rankprompt.llm.base import AsyncLanguageModel, LanguageModel
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.llm.registry import is_reranker, split_prefix
from rankprompt.llm.special_tokens import LIKELY
from rankprompt.prompts.prompt import RELEVANCE, Prompt, load_prompt
from rankprompt.rankers import METHODS, method
from rankprompt.types import (
    QUESTION_NOUNS,
    Judgment,
    ListwiseQuestion,
    PairwiseQuestion,
    PointwiseQuestion,
    Qrels,
    QuestionKind,
    SetwiseQuestion,
)

__all__ = [
    "LanguageModelJudge",
    "Oracle",
    "check_fit",
    "check_lazy",
    "check_special_tokens",
    "default_method",
    "default_prompt",
    "make_judge",
    "make_oracle",
    "pointwise_adapter",
    "serves",
    "single_order_adapter",
]

LanguageModelJudge: TypeAlias = PairwiseJudge | SingleOrderJudge[Judgment]
"""A judge that asks a language model."""
Oracle: TypeAlias = PairwiseOracle | SingleOrderOracle
"""A simulated judge that reads relevance grades."""

# By a prompt's kind: the kinds of questions that it can put.
_SERVES: dict[str, tuple[QuestionKind, ...]] = {
    "choice": (PairwiseQuestion,),
    "contrast": (PairwiseQuestion,),
    "likelihood": (PairwiseQuestion, PointwiseQuestion),
    "grades": (PairwiseQuestion, PointwiseQuestion),
    "relevance": (PairwiseQuestion, PointwiseQuestion),
    "selection": (SetwiseQuestion,),
    "listing": (ListwiseQuestion,),
}
# By a prompt's kind: the default method, where it is not heapsort.
_METHODS = {
    # A document is read once for all of its pairs, so all pairs cost no more than a few.
    "likelihood": "allpair",
    "grades": "pointwise",
    "relevance": "pointwise",
    "selection": "setwise-heapsort",
    "listing": "listwise",
}
# The default prompts of smollm2-135m (as measured: docs/results/judges.md), and of other models.
_PROMPTS: dict[QuestionKind, tuple[str, str]] = {
    PairwiseQuestion: ("query-likelihood-demonstrations", "prp"),
    PointwiseQuestion: ("query-likelihood-demonstrations", "relevance-yes-no"),
    SetwiseQuestion: ("setwise", "setwise"),
    ListwiseQuestion: ("listwise", "listwise"),
}

_MakeAdapter: TypeAlias = Callable[[Prompt], Adapter[Judgment]]
# By a prompt's kind: the adapter that reads likelihoods, and the adapter that parses written text.
_ADAPTERS: dict[str, tuple[_MakeAdapter, _MakeAdapter]] = {
    "likelihood": (QueryLikelihood, QueryLikelihood),
    "grades": (ExpectedGrade, WrittenGrade),
    "relevance": (Relevance, Relevance),
    "selection": (Selected, SelectedLabel),
    "listing": (LikeliestLabelsFirst, WrittenPermutation),
}


def serves(prompt: Prompt, kind: QuestionKind) -> bool:
    """Whether a prompt can put questions of this kind."""
    if prompt.kind == "grades" and kind is PairwiseQuestion:
        return len(prompt.options) == 2  # whose log-odds can be compared
    return kind in _SERVES[prompt.kind]


def default_prompt(kind: QuestionKind, model: str) -> str:
    """The name of the default prompt for a kind of question and a model.

    That is the prompt in the model's folder, if there is one for such questions: it was trained on
    it.
    """
    if is_reranker(model):
        return RELEVANCE.name
    _, source = split_prefix(model)
    own = own_prompt(source)
    if own and serves(load_prompt(own), kind):
        return own
    adapted = find_adapted(source)
    ours, others = _PROMPTS[kind]
    return ours if (adapted.base if adapted else model) == EMBEDDED else others


def default_method(prompt: Prompt | None) -> str:
    """The default method for a prompt, or for an oracle (None)."""
    return _METHODS.get(prompt.kind, "heapsort") if prompt else "heapsort"


def check_fit(prompt: Prompt, name: str) -> None:
    """Checks that a prompt can put the questions that the method ``name`` asks.

    Raises:
        InputError: it cannot; the message names the methods that the prompt serves.
    """
    kind = method(name).question
    if not serves(prompt, kind):
        served = [other for other, entry in METHODS.items() if serves(prompt, entry.question)]
        raise InputError(
            f"`method` {name} asks {QUESTION_NOUNS[kind]}s, and `prompt` {prompt.name} is of kind "
            f"{prompt.kind}: leave one of them out, or take `method` {', '.join(served)}"
        )


def check_lazy(name: str, *, decide: str | None, prior: float | None) -> None:
    """Checks that ``order`` lazy goes with a method and the way its preferences are made.

    Raises:
        InputError: the method or the settings need to know more of a pair than whether its first
            document wins.
    """
    if not method(name).strict:
        sorts = ", ".join(other for other, entry in METHODS.items() if entry.strict)
        raise InputError(
            f"`order` lazy goes with methods that sort ({sorts}): `method` {name} needs both "
            "orders of its pairs"
        )
    if decide == "soft":
        raise InputError(
            "`order` lazy goes with `decide` agreement, and with a prompt that shows two passages: "
            "soft averages both orders"
        )
    if prior:
        raise InputError("`order` lazy goes without `prior`, which settles ties")


def check_special_tokens(prompt: Prompt, model: LanguageModel | AsyncLanguageModel) -> None:
    """Checks that the special tokens in a prompt's own text are special tokens of the model.

    Another family's tokens are plain text to a model, and its answers then hardly better than
    random. [INST] and <<SYS>> are not checked: Llama 2 was trained on them as plain text.

    Raises:
        InputError: a token is none of the model's, as far as its back end can tell.
    """
    for text in prompt.text.parts[::2]:
        for token in LIKELY.findall(text):
            if re.fullmatch(r"<[^<].*", token) and model.escape(token) == token:
                raise InputError(
                    f"`prompt` {prompt.name} is written for other models: {token} is no special "
                    f"token of {model.name}; take another `prompt`, or the model that it is for"
                )


def single_order_adapter(prompt: Prompt, mode: str) -> Adapter[Any]:
    """The adapter of a prompt for pointwise, setwise or listwise questions.

    Args:
        prompt: a prompt of kind "likelihood", "grades", "relevance", "selection" or "listing".
        mode: "scoring" or "generation", as in ``make_judge``.
    """
    by_likelihood, by_text = _ADAPTERS[prompt.kind]
    return (by_text if mode == "generation" else by_likelihood)(prompt)


def pointwise_adapter(prompt: Prompt, mode: str = "scoring") -> PointwiseAdapter:
    """The adapter of a prompt for pointwise questions, which it must serve."""
    assert serves(prompt, PointwiseQuestion), prompt.kind
    return cast(PointwiseAdapter, single_order_adapter(prompt, mode))


def make_judge(
    kind: QuestionKind,
    model: CachedModel | ConcurrentCachedModel,
    prompt: Prompt,
    *,
    mode: str = "scoring",
    order: str = "both",
    decide: str = "agreement",
    seed: int = 0,
    guard: AnswerGuard | None = None,
    passage_tokens: int | None = None,
    on_judged: Callable[[int], None] = lambda _: None,
) -> LanguageModelJudge:
    """Makes a judge that asks a language model.

    Args:
        kind: the kind of question that the judge answers.
        model: the model behind its journal.
        prompt: a prompt that serves this kind of question.
        mode: "scoring" reads the likelihoods of options, "generation" parses text that the model
            writes.
        order: as in ``PairwiseJudge``; ignored for other kinds of questions.
        decide: as ``order``.
        seed: as ``order``.
        guard: as in ``LLMJudge``.
        passage_tokens: as in ``LLMJudge``.
        on_judged: as in ``LLMJudge``.

    Raises:
        InputError: the prompt has special tokens that the model does not know.
    """
    check_special_tokens(prompt, model.model)
    if kind is PairwiseQuestion:
        return PairwiseJudge(
            model,
            pairwise_adapter(prompt, mode),
            order=order,
            decide=decide,
            seed=seed,
            guard=guard,
            passage_tokens=passage_tokens,
            on_judged=on_judged,
        )
    adapter = single_order_adapter(prompt, mode)
    return SingleOrderJudge(
        model, adapter, guard=guard, passage_tokens=passage_tokens, on_judged=on_judged
    )


def make_oracle(
    kind: QuestionKind,
    qrels: Qrels,
    errors: ErrorModel,
    *,
    order: str = "single",
    decide: str = "agreement",
    seed: int = 0,
    on_judged: Callable[[int], None] = lambda _: None,
) -> Oracle:
    """Makes a simulated judge, which reads relevance grades.

    Args:
        kind: the kind of question that the judge answers.
        qrels: relevance grades; an unjudged document counts as grade 0.
        errors: the judge's error model.
        order: as in ``PairwiseOracle``; ignored for other kinds of questions.
        decide: as ``order``.
        seed: the seed of the errors.
        on_judged: called with the number of questions judged, after each round.

    Raises:
        InputError: the error model is defined for pairs only, and the questions are of another
            kind.
    """
    if kind is PairwiseQuestion:
        return PairwiseOracle(
            qrels, errors=errors, order=order, decide=decide, seed=seed, on_judged=on_judged
        )
    if not errors.of_all_kinds:
        raise InputError(
            f"`judge_model` {errors} is defined for comparisons only; about "
            f"{QUESTION_NOUNS[kind]}s, use gap=S or flip=P"
        )
    return SingleOrderOracle(
        qrels, noise=errors.flip or 0.0, strength=errors.strength, seed=seed, on_judged=on_judged
    )
