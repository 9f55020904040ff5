"""Each loss against a case worked by hand, masks, and gradients at the edges."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.cascade.training.losses import (
    DISTILLATION,
    cross_entropy,
    gains_of,
    kl,
    lambda_ndcg2,
    mse,
    ranknet,
)

LOG = math.log
# One list of two windows, with a third place that holds none.
STUDENT = torch.tensor([[0.0, LOG(3), 99.0]])
TEACHER = torch.tensor([[LOG(4), 0.0, -99.0]])
MASK = torch.tensor([[True, True, False]])


def test_ranknet() -> None:
    # -log sigmoid(2 - 1) and -log sigmoid(0 - 0)
    expected = (LOG(1 + math.exp(-1)) + LOG(2)) / 2
    assert ranknet(torch.tensor([2.0, 0]), torch.tensor([1.0, 0])).item() == pytest.approx(expected)


def test_mse() -> None:
    expected = (LOG(4) ** 2 + LOG(3) ** 2) / 2
    assert mse(STUDENT, TEACHER, MASK).item() == pytest.approx(expected)


def test_kl() -> None:
    # softmax of the student: 1/4, 3/4; of the teacher: 4/5, 1/5.
    expected = 0.8 * LOG(0.8 / 0.25) + 0.2 * LOG(0.2 / 0.75)
    assert kl(STUDENT, TEACHER, MASK).item() == pytest.approx(expected)


def test_cross_entropy() -> None:
    expected = -0.8 * LOG(0.25) - 0.2 * LOG(0.75)
    assert cross_entropy(STUDENT, TEACHER, MASK).item() == pytest.approx(expected)


def test_the_teachers_best_windows_get_the_gains() -> None:
    teacher = torch.tensor([[0.1, 0.9, 0.5, 0.5, -1.0, 7.0]])
    mask = torch.tensor([[True] * 5 + [False]])
    assert gains_of(teacher, mask, 3).tolist() == [[0, 3, 2, 1, 0, 0]]
    assert gains_of(teacher, mask, 9).tolist() == [[6, 9, 8, 7, 5, 0]]


def test_lambda_loss() -> None:
    # Top 2 of three: labels 2, 1, 0, gains 3, 1, 0, best DCG 3 + 1/log2(3).
    # The student has the order 2, 1, 0 (places from 0), so its ranks are 3, 2, 1.
    teacher, student = torch.tensor([[3.0, 2, 1]]), torch.tensor([[0.0, 1, 3]])
    best = 3 + 1 / math.log2(3)
    near = 1 / math.log2(2) - 1 / math.log2(3)  # ranks 1 apart
    far = 1 / math.log2(3) - 1 / math.log2(4)  # ranks 2 apart
    expected = (
        near * (3 - 1) / best * math.log2(1 + math.exp(1))
        + far * (3 - 0) / best * math.log2(1 + math.exp(3))
        + near * (1 - 0) / best * math.log2(1 + math.exp(2))
    )
    found = lambda_ndcg2(student, teacher, torch.ones(1, 3).bool(), top=2)
    assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize("name", DISTILLATION)
def test_lists_without_anything_to_compare_give_finite_gradients(name: str) -> None:
    for mask in ([[False, False]], [[True, False]], [[True, True], [False, False]]):
        student = torch.zeros(len(mask), 2, requires_grad=True)
        loss = DISTILLATION[name](student, torch.ones(len(mask), 2), torch.tensor(mask))
        loss.backward()  # type: ignore[no-untyped-call]
        assert torch.isfinite(loss)
        assert student.grad is not None
        assert torch.isfinite(student.grad).all()


numbers = st.floats(-5, 5, width=32)


@given(
    name=st.sampled_from(sorted(DISTILLATION)),
    scores=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=8),
    junk=st.lists(st.tuples(numbers, numbers), max_size=4),
)
def test_what_is_masked_counts_for_nothing(
    name: str, scores: list[tuple[float, float]], junk: list[tuple[float, float]]
) -> None:
    def loss(rows: list[tuple[float, float]]) -> tuple[float, list[float]]:
        student = torch.tensor([[one for one, _ in rows]], requires_grad=True)
        teacher = torch.tensor([[other for _, other in rows]])
        mask = torch.arange(len(rows))[None] < len(scores)
        found = DISTILLATION[name](student, teacher, mask)
        found.backward()  # type: ignore[no-untyped-call]
        assert student.grad is not None
        return found.item(), student.grad[0].tolist()

    value, slope = loss(scores)
    padded, slopes = loss(scores + junk)
    assert padded == pytest.approx(value, abs=1e-5)
    assert slopes == pytest.approx(slope + [0.0] * len(junk), abs=1e-5)
    assert value >= -1e-5


@pytest.mark.parametrize("name", DISTILLATION)
def test_following_the_gradient_brings_the_teachers_order(name: str) -> None:
    teacher, mask = torch.tensor([[0.0, 3, 1, 2, -1, -2]]), torch.ones(1, 6).bool()
    student = torch.zeros(1, 6, requires_grad=True)
    optimizer = torch.optim.Adam([student], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        DISTILLATION[name](student, teacher, mask).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert student[0].argsort(descending=True).tolist()[:4] == [1, 3, 2, 0]
