from rankprompt.rankers import pointwise
from rankprompt.rankers.driver import drive


def test_an_item_without_a_grade_keeps_its_place() -> None:
    grades = {"a": 1.0, "b": None, "c": 3.0, "d": 2.0, "e": None}
    ranking = drive(pointwise(list("abcde")), lambda items: [grades[item] for (item,) in items])
    assert ranking == ["c", "b", "d", "a", "e"]
