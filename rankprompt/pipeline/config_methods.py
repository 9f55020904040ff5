"""The groups of the configuration that say how candidates are ranked and judged."""

from dataclasses import dataclass

from rankprompt.pipeline.config_option import option
from rankprompt.prompts.prompt import SHIPPED
from rankprompt.rankers import METHODS
from rankprompt.rankers.reranking import INPUT_ORDERS

__all__ = ["CASCADE", "CascadeConfig", "JudgeConfig", "OracleConfig", "RankerConfig"]

CASCADE = "cascade"
"""The method that asks no questions: a teacher scores windows of the documents."""


@dataclass(frozen=True)
class RankerConfig:
    """The ranking method and its settings."""

    method: str | None = option(
        None,
        "The ranking method. By pairwise questions: allpair, heapsort, sliding, pipelined, "
        "quickselect, bradley-terry, prp-graph; by other questions: pointwise, setwise-heapsort, "
        "setwise-bubblesort, setwise-insertion, listwise, tourrank. Stages are joined by commas, "
        "as in heapsort,allpair@20, where allpair reranks the best 20 of heapsort. With cascade, a "
        "teacher scores windows of the documents.",
        otherwise="what suits the model and the prompt: pointwise for rerankers and grades, "
        "heapsort for pairs, allpair where the query's likelihood after each passage is compared",
        suggestions=lambda: (*METHODS, CASCADE),
    )
    k: int = option(
        10,
        "Rank the top K (heapsort, quickselect, bradley-terry and the setwise methods).",
        minimum=1,
    )
    passes: int | None = option(
        None, "The passes of sliding and pipelined.", otherwise="as many as k", minimum=1
    )
    early_exit: bool = option(
        False, "Stop sliding after a pass without a swap; the ranking is the same."
    )
    comparisons: int | None = option(
        None,
        "The most comparisons of bradley-terry and prp-graph, for each query.",
        otherwise="7 for each document, and 20 rounds",
        minimum=1,
    )
    set_size: int | None = option(
        None,
        "The number of passages that one setwise or listwise question shows.",
        otherwise="4 (setwise), 20 (listwise, tourrank)",
        minimum=2,
    )
    step: int | None = option(
        None, "How far a listwise window moves up.", otherwise="10", minimum=1
    )
    tournaments: int | None = option(
        None, "The number of tournaments that tourrank plays.", otherwise="2", minimum=1,
        maximum=1000,
    )  # fmt: skip
    input_order: str = option(
        "given", "The order in which the method receives the candidates.", choices=INPUT_ORDERS
    )


@dataclass(frozen=True)
class JudgeConfig:
    """How questions are put to the model, and how its answers are read."""

    prompt: str | None = option(
        None,
        "A prompt that comes with rankprompt (`rankprompt doctor` lists them), or a TOML file.",
        otherwise="a reranker reads none; for smollm2-135m the prompt that measured best, for "
        "other models prp",
        suggestions=lambda: SHIPPED,
    )
    instruction: str | None = option(
        None,
        "What the passages are wanted for, where the prompt has a slot for it (qwen3-reranker, "
        "mxbai-rerank-v2, or {instruction} in a prompt file).",
        otherwise="the prompt's own",
    )
    mode: str = option(
        "scoring",
        "How a choice is read: by the likelihoods of its options, or from the text that the model "
        "generates.",
        choices=("scoring", "generation"),
    )
    order: str = option(
        "both",
        "Ask each pair in both orders, or in a single order that the seed draws. lazy ranks as "
        "both does, with fewer prompts, where a method sorts (heapsort, quickselect, sliding): it "
        "asks the second order only where the first leaves the comparison open.",
        choices=("both", "lazy", "single"),
    )
    decide: str | None = option(
        None,
        "Conclude by agreement (both orders agree, else a tie) or soft (the mean probability).",
        otherwise="what suits the prompt: agreement for choices, soft for likelihoods and duot5",
        choices=("agreement", "soft"),
    )
    prior: float | None = option(
        None,
        "Add the first stage's standardised scores, with this weight, to the log-odds of each "
        "preference; 0 leaves them out.",
        otherwise="the prompt file's, else 0",
        minimum=0,
        maximum=1e6,  # an infinite log-odds would hide what the model prefers
    )
    passage_tokens: int | None = option(
        None,
        "Show at most this many tokens of a passage.",
        otherwise="as many as fit into the context",
        minimum=1,
    )
    keep_going: bool = option(
        False,
        "Go on where nearly all answers cannot be read, or nearly all pairs are ties. Without this "
        "option such a run stops, because its ranking would be the first stage's.",
    )
    skip_refused: bool = option(
        False,
        "Go on where a content filter refuses a prompt; such answers count as ties and are named. "
        "Without this option the first refusal stops the run.",
    )


@dataclass(frozen=True)
class CascadeConfig:
    """The cascade for long documents (IDCM): a student selects the windows that are shown."""

    student: str | None = option(
        None,
        "Show only the windows of long documents that a student selects: bm25, encoder, "
        "encoder:FOLDER, ck:FOLDER, or the controls first, random and all.",
        otherwise="documents are shown whole",
        flag="cascade",
        suggestions=lambda: ("bm25", "encoder", "encoder:", "ck:", "first", "random", "all"),
    )
    keep: int = option(4, "With a cascade: the windows of each document to keep.", minimum=1)
    window: int = option(50, "With a cascade: the tokens of a window.", minimum=1)
    overlap: int = option(
        7, "With a cascade: the tokens shown on each side of a window.", minimum=0
    )
    window_unit: str = option(
        "tokens",
        "With a cascade: fill windows with tokens, or with whole sentences or paragraphs (which do "
        "not overlap).",
        choices=("tokens", "sentences", "paragraphs"),
    )
    teacher: str | None = option(
        None,
        "With --method cascade: ms-marco-minilm-l12 (from PyPI), the folder of a cross-encoder, "
        "llm:MODEL with a --prompt that shows one passage, or rerank:MODEL at a --base-url.",
        otherwise="ms-marco-minilm-l12",
        suggestions=lambda: ("ms-marco-minilm-l12", "llm:", "rerank:"),
    )
    aggregate: str | None = option(
        None,
        "With --method cascade: a document's score is the max of its windows, mean:L of the best "
        "L, or learned weights that the teacher has.",
        otherwise="learned if the teacher has them, else mean:3",
        suggestions=lambda: ("max", "mean:3", "learned"),
    )


@dataclass(frozen=True)
class OracleConfig:
    """How an oracle's answers err."""

    noise: float = option(
        0.0, "With an oracle: the probability that an answer is wrong.", minimum=0, maximum=1
    )
    judge_model: str | None = option(
        None,
        "With an oracle: how its answers err, as in flip=0.2 (the same as --noise 0.2), gap (near "
        "ties are guesses), errors=0.4/0.2/0.1 (at grades 1, 2, 3 apart), bias=0.1, ties=0.05, "
        "circle=0.1, or several of these joined by commas.",
        otherwise="no errors",
    )
