"""Students (IDCM's ESM): cheap scores of windows, one student a file, and the table of names."""

from pathlib import Path

from rankprompt.cascade.students.base import OfTexts, Student, TextStudent, cuts_query
from rankprompt.cascade.students.bm25 import BM25Student
from rankprompt.cascade.students.controls import RandomStudent, first
from rankprompt.errors import UnknownNameError

__all__ = [
    "STUDENTS",
    "BM25Student",
    "OfTexts",
    "RandomStudent",
    "Student",
    "TextStudent",
    "cuts_query",
    "first",
    "load_student",
]

STUDENTS = ("all", "bm25", "ck:DIR", "encoder", "encoder:DIR", "first", "random")


def load_student(name: str, *, language: str = "en", seed: int = 0) -> Student | None:
    """Loads a student by name; None for "all", which reads every window.

    Args:
        name: one of ``STUDENTS``, DIR a folder. "encoder" alone is all-MiniLM-L6-v2 from its wheel.
        language: of the words that "bm25" counts, as in ``rankprompt.retrieval.analyzer``.
        seed: of "random".

    Raises:
        UnknownNameError: there is none of this name, or no such language.
        ModelError: its model cannot be loaded; says what to install.
    """
    kind, _, folder = name.partition(":")
    if name == "all":
        return None
    if name == "bm25":
        return OfTexts(BM25Student(language))
    if name == "first":
        return first
    if name == "random":
        return RandomStudent(seed)
    if name == "encoder" or (kind == "encoder" and folder):
        from rankprompt.cascade.students.encoder import find_minilm, load_encoder_student

        encoder = load_encoder_student(Path(folder) if folder else find_minilm())
        return OfTexts(encoder, encoder.cuts)
    if kind == "ck" and folder:
        from rankprompt.cascade.students.ck import load_ck

        kernels = load_ck(folder)
        return OfTexts(kernels, kernels.cuts)
    raise UnknownNameError("student", name, STUDENTS)
