"""Teachers (IDCM's ETM): expensive scores of a query and a window, one a file; table of names."""

from pathlib import Path

from rankprompt.cascade.aggregation import LEARNED, Aggregate, aggregate_by, top_weights
from rankprompt.cascade.teachers.base import ModelTeacher
from rankprompt.cascade.teachers.language_model import LanguageModelTeacher
from rankprompt.errors import UnknownNameError
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.llm.tokenizer_offsets import Offsets, model_offsets
from rankprompt.prompts.prompt import load_prompt

__all__ = [
    "MINILM", "TEACHERS", "YES_NO", "LanguageModelTeacher", "ModelTeacher", "aggregate_of",
    "default_aggregate", "llm_of", "load_teacher", "teacher_folder", "teacher_offsets",
]  # fmt: skip

MINILM = "ms-marco-minilm-l12"
"""The cross-encoder that comes from PyPI: ms-marco-MiniLM-L-12-v2, int8, Apache-2.0."""

YES_NO = "relevance-yes-no"
"""What a language model is asked, unless another prompt is named."""

_LLM = "llm:"
TEACHERS = (MINILM, "DIR", "llm:MODEL")


def load_teacher(
    name: str, *, prompt: str = YES_NO, model: CachedModel | None = None
) -> ModelTeacher:
    """Loads a teacher by name.

    Args:
        name: ``MINILM``; the folder of a cross-encoder; or "llm:MODEL", a language model as
            ``load_model`` takes it, asked about a window at a time.
        prompt: of a language model; a name or file, of kind "grades" or "likelihood".
        model: the language model behind its journal and budget; None loads it, and keeps its
            answers in memory.

    Raises:
        UnknownNameError: there is none of this name, and no such folder.
        ModelError: it cannot be loaded; says what to install.
        InputError: the prompt is of another kind.
    """
    if language_model := llm_of(name):
        if model is None:
            from rankprompt.llm import load_model

            model = CachedModel(load_model(language_model), Journal(None))
        return LanguageModelTeacher(model, load_prompt(prompt))
    from rankprompt.cascade.teachers.cross_encoder import load_cross_encoder

    return load_cross_encoder(teacher_folder(name))


def teacher_offsets(name: str) -> Offsets:
    """Where the tokens stand that a teacher reads; raises as ``load_teacher``."""
    return model_offsets(llm_of(name) or str(teacher_folder(name)))


def llm_of(name: str) -> str | None:
    """The model's name in "llm:MODEL"; None for a cross-encoder."""
    return name.removeprefix(_LLM) if name.startswith(_LLM) and name != _LLM else None


def default_aggregate(name: str) -> str:
    """How windows make a document's score: learned weights where the teacher has them.

    Else the mean of the 3 best (IDCM's l), which suits ``MINILM`` better than the best alone
    (docs/cascade.md).
    """
    folder = None if llm_of(name) else teacher_folder(name)
    return LEARNED if folder and top_weights(folder) else "mean:3"


def aggregate_of(name: str, aggregate: str) -> Aggregate:
    """``aggregate_by`` of a teacher's folder; raises as that and ``load_teacher``."""
    return aggregate_by(aggregate, None if llm_of(name) else teacher_folder(name))


def teacher_folder(name: str) -> Path:
    """The folder of a cross-encoder.

    Raises:
        UnknownNameError: there is none of this name, and no such folder.
        ModelError: it is ``MINILM``, which is not installed; gives the pip line.
    """
    if name == MINILM:
        from rankprompt.cascade.teachers.cross_encoder import find_reranker

        return find_reranker()
    if not Path(name).expanduser().is_dir():
        raise UnknownNameError("teacher", name, TEACHERS)
    return Path(name).expanduser()
