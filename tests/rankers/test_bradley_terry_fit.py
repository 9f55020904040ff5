import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rankprompt.rankers.bradley_terry_fit import fit_sparse_strengths, fit_strengths

Array = npt.NDArray[np.float64]


def answers(seed: int, n: int = 8, games: int = 60) -> list[tuple[int, int]]:
    """The winners and losers of games between items of random strengths."""
    random = np.random.default_rng(seed)
    strengths = random.normal(size=n)
    results = []
    for _ in range(games):
        i, j = random.choice(n, 2, replace=False).tolist()
        first = random.random() < 1 / (1 + np.exp(strengths[j] - strengths[i]))
        results.append((i, j) if first else (j, i))
    return results


def count_wins(games: list[tuple[int, int]], n: int) -> Array:
    wins = np.zeros((n, n))
    for winner, loser in games:
        wins[winner, loser] += 1
    return wins


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("alpha", [0.01, 0.125, 1.0])
def test_strengths_without_lapses_are_those_of_choix(seed: int, alpha: float) -> None:
    choix = pytest.importorskip("choix")
    games = answers(seed)
    # choix penalises alpha times the sum of squares: half of our precision.
    expected = choix.opt_pairwise(8, games, alpha=alpha)
    strengths = fit_strengths(count_wins(games, 8), np.zeros(8), precision=2 * alpha)
    assert strengths.mean == pytest.approx(expected, abs=1e-3)


def test_the_covariance_is_the_inverse_of_the_information() -> None:
    wins = np.array([[0.0, 3.0], [1.0, 0.0]])
    mean, covariance = fit_strengths(wins, np.zeros(2), precision=0.5)
    win = 1 / (1 + np.exp(mean[1] - mean[0]))
    link = 4 * win * (1 - win)
    information = np.array([[link + 0.5, -link], [-link, link + 0.5]])
    assert covariance @ information == pytest.approx(np.eye(2), abs=1e-9)


def test_without_answers_the_prior_is_all_that_is_known() -> None:
    mean, covariance = fit_strengths(np.zeros((3, 3)), np.array([1.0, 0.0, -2.0]), precision=4)
    assert mean.tolist() == [1.0, 0.0, -2.0]
    assert covariance == pytest.approx(np.eye(3) / 4)


def test_lapses_make_an_upset_weak_evidence() -> None:
    # Item 0 beats items 1 to 5 and loses only to item 6, which the others beat.
    wins = np.zeros((7, 7))
    wins[0, 1:6] = wins[1:6, 6] = wins[6, 0] = 1

    def lead(lapse: float) -> float:
        mean = fit_strengths(wins, np.zeros(7), precision=0.25, lapse=lapse).mean
        return float(mean[0] - mean[1:6].mean())

    assert lead(0.15) > lead(0.0) > 0


# Here Fisher's steps alone would not converge in thousands of steps.
@example(9, 2186, 0.3, 0.05)
@settings(max_examples=60)
@given(
    st.integers(2, 12),
    st.integers(0, 10**6),
    st.sampled_from([0.0, 0.15, 0.3]),
    st.sampled_from([0.05, 0.25, 2.0]),
)
def test_any_answers_give_a_stationary_point(
    n: int, seed: int, lapse: float, precision: float
) -> None:
    random = np.random.default_rng(seed)
    wins = np.triu(random.choice([0, 0.3, 0.5, 1, 5], (n, n)), 1)
    wins = wins + np.tril((wins.T > 0) * random.random((n, n)), -1)
    prior = np.linspace(1, -1, n)

    def posterior(strengths: Array) -> float:
        chance = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))
        loglikelihood = (wins * np.log(lapse + (1 - 2 * lapse) * chance)).sum()
        return float(loglikelihood - precision / 2 * ((strengths - prior) ** 2).sum())

    mean, covariance = fit_strengths(wins, prior, precision=precision, lapse=lapse)
    assert np.isfinite(mean).all()
    assert (np.linalg.eigvalsh(covariance) > 0).all()
    for i in range(n):
        step = 1e-4 * np.eye(n)[i]
        slope = (posterior(mean + step) - posterior(mean - step)) / 2e-4
        assert slope == pytest.approx(0, abs=1e-3)


@settings(deadline=None)
@given(
    st.integers(1, 12).flatmap(
        lambda n: st.lists(
            st.tuples(st.integers(0, n - 1), st.integers(0, n - 1), st.floats(0, 1)).filter(
                lambda answer: answer[0] != answer[1]
            ),
            max_size=60,
        ).map(lambda answers: (n, answers))
    ),
    st.floats(0.01, 4),
)
def test_the_sparse_fit_is_the_fit_without_lapses(
    given_answers: tuple[int, list[tuple[int, int, float]]], precision: float
) -> None:
    n, rows = given_answers
    wins = np.zeros((n, n))
    for first, second, preference in rows:
        wins[first, second] += preference
        wins[second, first] += 1 - preference
    table = np.array(rows).reshape(-1, 3)
    sparse = fit_sparse_strengths(
        table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2], n, precision=precision
    )
    assert sparse == pytest.approx(
        fit_strengths(wins, np.zeros(n), precision=precision).mean, abs=2e-3
    )
