"""Students (IDCM's ESM): cheap window scores, one student a file, and the table of their names."""

from collections.abc import Mapping
from importlib import import_module

from rankprompt.cascade.students.base import Student, StudentConfig, StudentLoader, cuts_query
from rankprompt.errors import UnknownNameError

__all__ = ["STUDENTS", "Student", "cuts_query", "load_student"]

STUDENTS: Mapping[str, str] = {
    "all": "controls:load_all",
    "bm25": "bm25:load",
    "ck:DIR": "ck:load",
    "encoder": "encoder:load",
    "encoder:DIR": "encoder:load",
    "first": "controls:load_first",
    "random": "controls:load_random",
}
"""The module and function of this package that load a student, by name; imported when used."""


def load_student(name: str, *, language: str = "en", seed: int = 0) -> Student | None:
    """Loads a student by name.

    Args:
        name: A name in ``STUDENTS``, with a folder in place of DIR. "encoder" alone is
            all-MiniLM-L6-v2 from its wheel.
        language: The language of the words that "bm25" counts, as in
            ``rankprompt.retrieval.analyzer``.
        seed: The seed of "random".

    Returns:
        The student; None for "all", which keeps every window.

    Raises:
        UnknownNameError: No student or language has this name.
        ModelError: The student's model cannot be loaded; the message says what to install.
    """
    kind, _, folder = name.partition(":")
    entry = STUDENTS.get(f"{kind}:DIR" if folder else name)
    if entry is None:
        raise UnknownNameError("student", name, STUDENTS)
    module, _, function = entry.partition(":")
    load: StudentLoader = getattr(import_module(f"{__name__}.{module}"), function)
    return load(StudentConfig(folder, language, seed))
