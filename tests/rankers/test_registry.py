import pytest

from rankprompt.errors import UnknownNameError
from rankprompt.rankers import METHODS, method


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_found_by_its_name(name: str) -> None:
    assert method(name) is METHODS[name]


def test_an_unknown_method_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        UnknownNameError, match="unknown method 'heap-sort'; did you mean 'heapsort'"
    ):
        method("heap-sort")
