"""Classification and multiple choice: which verbaliser is the likeliest answer?"""

from collections.abc import Mapping, Sequence

from rankprompt.judges.adapters.base import softmax
from rankprompt.llm.base import Answer, Request
from rankprompt.prompts.template import Template
from rankprompt.search.fitness.base import Measures, piecewise_reward
from rankprompt.search.fitness.examples import ExampleProblem
from rankprompt.search.splits import Example

__all__ = ["ChoiceProblem"]


class ChoiceProblem(ExampleProblem):
    """Scores prompts by the probabilities of the verbalisers, normalised over these.

    ``reward`` is the mean piecewise reward over the examples, ``accuracy`` the share of examples
    whose right verbaliser is the likeliest; a tie is wrong. A verbaliser of several tokens counts
    with the product of their probabilities, whatever its length. A prompt with an answer that is
    not a number is infeasible.
    """

    def _measure(self, item: Example, answers: Sequence[Answer]) -> Measures:
        (answer,) = answers
        right = list(self._task.verbalisers).index(item.label)
        reward = piecewise_reward(softmax(answer.loglikelihoods), right, self._config)
        # The sign of the reward tells a correct answer from a wrong one.
        return {"accuracy": float(reward > 0), "reward": reward}

    def _samples(self, items: Sequence[Example]) -> Sequence[Example]:
        """The first example of each label."""
        return list({item.label: item for item in reversed(items)}.values())

    def _option_names(self, request: Request) -> list[str]:
        return [
            f"{option!r} of the label {label!r}"
            for option, label in zip(request.options, self._task.verbalisers, strict=True)
        ]

    def comparison(self, seed: Template, winner: Template) -> Mapping[str, object] | None:
        """McNemar's exact test over the test split's examples, two-sided."""
        from scipy.stats import binomtest

        pairs = [
            (after["accuracy"], before["accuracy"])
            for after, before in zip(self._tested[winner], self._tested[seed], strict=True)
        ]
        wins, losses = (sum(a > b for a, b in pairs), sum(a < b for a, b in pairs))
        p = float(binomtest(wins, wins + losses).pvalue) if wins + losses else None
        return {"measure": "accuracy", "wins": wins, "losses": losses, "mcnemar": p}
