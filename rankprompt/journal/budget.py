"""The budget of a run: the most prompts, tokens or money to spend."""

from dataclasses import dataclass

from rankprompt.journal.costs import Costs

__all__ = ["NO_LIMIT", "Budget"]


@dataclass(frozen=True)
class Budget:
    """The most to spend; None where there is no limit.

    Attributes:
        prompts: the most prompts to the model.
        tokens: the most tokens that the model reads and writes together.
        cost: the most money, in the currency of the prices.
        price_in: the price of a million tokens that the model reads.
        price_out: the price of a million tokens that the model writes.
    """

    prompts: int | None = None
    tokens: int | None = None
    cost: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return (self.prompts, self.tokens, self.cost) != (None, None, None)

    def price(self, costs: Costs) -> float:
        """The money spent, in the currency of the prices."""
        read = costs.tokens - costs.written
        return (read * self.price_in + costs.written * self.price_out) / 1e6

    def spent(self, costs: Costs, in_flight: int = 0) -> bool:
        """Whether the budget is spent, so that no more prompts may be sent to the model.

        A prompt's tokens are known only when it is answered, so a budget of tokens or money is
        exceeded by the prompts that are in flight when it runs out.

        Args:
            costs: the costs of all answered prompts.
            in_flight: the number of prompts that were sent but are not in ``costs`` yet.
        """
        return (
            (self.prompts is not None and costs.prompts + in_flight >= self.prompts)
            or (self.tokens is not None and costs.tokens >= self.tokens)
            or (self.cost is not None and self.price(costs) >= self.cost)
        )


NO_LIMIT = Budget()
