"""What a LoRA student learns from: pairs as the prompts that a judge asks about them."""

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch

from rankprompt.distil.pairs import Taught
from rankprompt.errors import InputError
from rankprompt.journal.cached_model import CachedModel, Reply
from rankprompt.journal.store import Journal
from rankprompt.judges.guard import AnswerGuard
from rankprompt.judges.registry import make_judge
from rankprompt.llm.base import LanguageModel, Request
from rankprompt.llm.local.encoding import EncodedRequest
from rankprompt.llm.local.trainable import TrainableModel
from rankprompt.llm.registry import is_reranker
from rankprompt.pipeline.model_names import check_model_name
from rankprompt.pipeline.unused_options import source_of
from rankprompt.prompts.prompt import Prompt, load_prompt
from rankprompt.rankers.driver import drive
from rankprompt.types import Document, PairwiseQuestion, Query

__all__ = ["Lesson", "PromptRow", "Prompts", "check_lora_student", "check_options", "log_odds"]

# Prompts of a pass, in tokens, by device; and padding beside them, which costs a CPU as much as
# another pass.
_PASS_TOKENS = {"cpu": 1024}
_PASS_TOKENS_ELSEWHERE, _PADDING = 16_384, 64


class PromptRow(NamedTuple):
    """A prompt as the model reads it.

    Attributes:
        tokens: up to where the options part.
        options: the tokens by which they part.
    """

    tokens: tuple[int, ...]
    options: tuple[int, int]


class Lesson(NamedTuple):
    """A pair to learn, or to validate on.

    Attributes:
        query: its query's id.
        prompts: numbers of two prompts: the pair in both orders, the first document first; or each
            of its documents, where a prompt shows a single one.
        preference: the probability that the first document is the more relevant one.
    """

    query: str
    prompts: tuple[int, int]
    preference: float


def check_lora_student(name: str, prompt: str) -> Prompt:
    """Checks a student's name and prompt at no cost, and returns the prompt.

    Raises:
        InputError: the model is not a language model on this machine, or the prompt is of a kind
            that has no two options to choose from.
    """
    check_model_name(name)
    if source_of(name)[0] != "local" or name.startswith("vllm:") or is_reranker(name):
        raise InputError(
            f"`student` {name}: an adapter is put on a language model in this process, such as "
            "smollm2-135m, a folder or a hub id"
        )
    loaded = load_prompt(prompt)
    graded = loaded.kind == "grades" and len(loaded.options) == 2
    if not graded and loaded.kind != "choice":
        raise InputError(
            f"`student_prompt` {prompt} is of kind {loaded.kind}: a LoRA student learns to choose "
            "between two passages (kind choice, as prp) or two grades (as relevance-yes-no)"
        )
    if graded and loaded.grades[0] <= loaded.grades[1]:
        raise InputError(f"`student_prompt` {prompt}: the first option must have the higher grade")
    return loaded


def check_options(model: TrainableModel, prompt: Prompt) -> None:
    """Checks that one token tells which of a prompt's options a model takes.

    Raises:
        InputError: it takes several, or the prompt has special tokens that the model does not know.
    """
    documents = Document("1", "one"), Document("2", "two")
    Prompts(model, prompt).add([Taught(PairwiseQuestion(Query("q", "query"), *documents), 1.0)])


class Prompts:
    """The distinct prompts about pairs, exactly as a judge with this model asks them.

    Args:
        model: the student.
        prompt: as ``check_lora_student`` returns it.
        passage_tokens: the most tokens of a passage to show; None for as many as fit.

    Attributes:
        rows: the prompts.
    """

    def __init__(
        self, model: TrainableModel, prompt: Prompt, passage_tokens: int | None = None
    ) -> None:
        self.rows: list[PromptRow] = []
        self.ordered = prompt.kind == "choice"
        self._model, self._prompt = model, prompt
        self._numbers: dict[Request, int] = {}
        # It renders; nothing is asked of the model.
        self._judge = make_judge(
            PairwiseQuestion,
            CachedModel(cast(LanguageModel, model), Journal(None)),
            prompt,
            order="both",
            decide="soft",
            guard=AnswerGuard(silent=True),
            passage_tokens=passage_tokens,
        )

    def add(self, taught: Sequence[Taught]) -> list[Lesson]:
        """Adds the prompts about pairs, two for each, and returns the pairs with their numbers.

        Pairs of equal texts are left out.

        Raises:
            InputError: the options cannot be told by one token.
            ModelError: a query leaves no room for passages in the model's context.
        """
        found: list[int] = []

        def record(requests: Sequence[Request]) -> list[Reply]:
            new = [one for one in dict.fromkeys(requests) if one not in self._numbers]
            self._numbers |= {one: len(self.rows) + place for place, one in enumerate(new)}
            self.rows += map(self._row, self._model.encode(new))
            found.extend(self._numbers[one] for one in requests)
            return [Reply(None, False)] * len(requests)

        questions = [one.question for one in taught]
        drive(self._judge.ask(questions), record)
        return [
            Lesson(question.query.id, (first, second), preference)
            for (question, preference), first, second in zip(
                taught, found[::2], found[1::2], strict=True
            )
            if first != second  # two documents of the same text
        ]

    def _row(self, encoded: EncodedRequest) -> PromptRow:
        first, *others = encoded.rows
        if others or first.stops or len(first.lasts) != 2:
            raise InputError(
                f"`student_prompt` {self._prompt.name}: to {self._model.name}, more than one token "
                f"tells its options {' and '.join(map(repr, self._prompt.options))} apart; take "
                "others, such as single letters or words"
            )
        tokens = dict(first.lasts)
        return PromptRow((*encoded.context, *first.stem), (tokens[0], tokens[1]))


def log_odds(model: TrainableModel, rows: Sequence[PromptRow]) -> torch.Tensor:
    """The log-odds of the first option against the second after each prompt, shape (rows,).

    Prompts run in passes of similar length. The gradient reaches the adapter unless it is switched
    off.
    """
    most = _PASS_TOKENS.get(model.device.type, _PASS_TOKENS_ELSEWHERE)
    order = sorted(range(len(rows)), key=lambda place: (len(rows[place].tokens), place))
    passes: list[list[int]] = []
    padding = 0
    for place in reversed(order):  # the longest first, by which the others are padded
        size = len(rows[place].tokens)
        longest = len(rows[passes[-1][0]].tokens) if passes else 0
        padding += longest - size
        if not passes or (len(passes[-1]) + 1) * longest > most or padding > _PADDING:
            passes.append([])
            padding = 0
        passes[-1].append(place)
    found = []
    for one in passes:
        logits = model.last_logits([rows[place].tokens for place in one])
        options = torch.tensor([rows[place].options for place in one], device=logits.device)
        chosen = logits.gather(1, options)
        found.append(chosen[:, 0] - chosen[:, 1])
    back = torch.empty(len(rows), dtype=torch.long)
    back[[place for one in passes for place in one]] = torch.arange(len(rows))
    return torch.cat(found)[back.to(model.device)]
