"""Which attributes of one tenant's entities deserve an index.

Owns the demand: for each attribute how many entities queries looked at in vain, that is what an
index of it might have spared them. Half of it is forgotten with every `age`, so that what
matters is what is asked again and again. It must not make or drop an index: that is
`broker.index_upkeep`. Noting a query costs about a microsecond; memory is bounded by MAX_NAMES.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Final

# Entities looked at in vain by one query that are worth noting: fewer take some 0.5 ms.
NOTED_MIN: Final = 1024
# An index is wanted once queries looked at all entities in vain so often: building takes about
# as long as so many of them, so that it is never much more than what was wasted before.
REPETITIONS: Final = 4
# Names of attributes with a demand, as clients may ask for any.
MAX_NAMES: Final = 256
# An index that turned out not to be worth its place needs twice the demand the next time, up to
# so many times.
MAX_PRICE: Final = 64


class IndexAdvisor:
    """The demand of one tenant."""

    def __init__(self) -> None:
        self.served = 0  # queries that an index answered
        self._demand: dict[str, int] = {}
        self._prices: dict[str, int] = {}  # by name, how many times the usual demand is asked

    def note(self, names: Iterable[str], in_vain: int) -> None:
        """A query for which indexes of `names` might have spared a look at so many entities."""
        if in_vain < NOTED_MIN:
            return
        for name in names:
            if name not in self._demand and len(self._demand) >= MAX_NAMES:
                del self._demand[min(self._demand, key=self._demand.__getitem__)]
            self._demand[name] = self._demand.get(name, 0) + in_vain

    def wanted(self, entities: int, having: Container[str]) -> tuple[str, int] | None:
        """The attribute that most deserves an index of so many entities, and its demand.

        None if there is none; those in `having` have one.
        """
        best: tuple[str, int] | None = None
        for name, demand in self._demand.items():
            enough = REPETITIONS * max(entities, NOTED_MIN) * self._prices.get(name, 1)
            if demand >= enough and name not in having and (best is None or demand > best[1]):
                best = name, demand
        return best

    def settle(self, name: str) -> None:
        """The demand for an attribute was met."""
        self._demand.pop(name, None)

    def raise_price(self, name: str) -> None:
        """An index of an attribute was of no use, or had no room."""
        self.settle(name)
        price = min(MAX_PRICE, 2 * self._prices.pop(name, 1))
        if len(self._prices) >= MAX_NAMES:
            del self._prices[next(iter(self._prices))]  # the one that was raised longest ago
        self._prices[name] = price

    def age(self) -> None:
        """Forget half of the demand."""
        self._demand = {
            name: demand // 2 for name, demand in self._demand.items() if demand >= 2 * NOTED_MIN
        }

    def check(self) -> None:
        """Assert the bounds; for tests."""
        assert len(self._demand) <= MAX_NAMES
        assert len(self._prices) <= MAX_NAMES
