"""Students by name."""

from pathlib import Path

import pytest

from rankprompt.cascade.students import STUDENTS, load_student
from rankprompt.cascade.students.controls import RandomStudent, first
from rankprompt.errors import ModelError, UnknownNameError
from tests.cascade.toy_collection import questions


def test_students_are_found_by_name() -> None:
    assert load_student("all") is None
    assert load_student("first") is first
    bm25 = load_student("bm25")
    assert bm25 is not None
    assert bm25([]) == []
    assert bm25(questions("warm hands", "cold feet"))[1] > 0
    random = load_student("random", seed=1)
    assert random is not None
    assert random(questions("a")) == RandomStudent(1)(questions("a"))


@pytest.mark.parametrize("name", ["bm52", "ck", "ck:", "encoder:", "first:3", ""])
def test_an_unknown_student_is_told(name: str) -> None:
    with pytest.raises(UnknownNameError) as told:
        load_student(name)
    assert all(known in str(told.value) for known in STUDENTS)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    for name in (f"encoder:{tmp_path}", f"ck:{tmp_path}"):
        with pytest.raises(ModelError, match=r"tokenizer\.json|not a CK student"):
            load_student(name)
