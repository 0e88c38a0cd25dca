"""When queries call for an index."""

from __future__ import annotations

from broker.index_advisor import MAX_NAMES, MAX_PRICE, NOTED_MIN, REPETITIONS, IndexAdvisor

COUNT = 10_000


def test_an_index_is_wanted_after_repetitions() -> None:
    advisor = IndexAdvisor()
    for _ in range(REPETITIONS - 1):
        advisor.note(["v"], COUNT)
    assert advisor.wanted(COUNT, ()) is None
    advisor.note(["v"], COUNT)
    assert advisor.wanted(COUNT, ()) == ("v", REPETITIONS * COUNT)
    assert advisor.wanted(COUNT, {"v"}) is None
    advisor.settle("v")
    assert advisor.wanted(COUNT, ()) is None


def test_the_most_needed_comes_first() -> None:
    advisor = IndexAdvisor()
    for _ in range(REPETITIONS):
        advisor.note(["v", "w"], COUNT)
    advisor.note(["w"], COUNT)
    assert advisor.wanted(COUNT, ()) == ("w", (REPETITIONS + 1) * COUNT)


def test_queries_over_few_entities_are_no_reason() -> None:
    advisor = IndexAdvisor()
    for _ in range(1000):
        advisor.note(["v"], NOTED_MIN - 1)
    assert advisor.wanted(0, ()) is None


def test_what_is_asked_seldom_is_forgotten() -> None:
    advisor = IndexAdvisor()
    for _ in range(100):
        advisor.note(["v"], COUNT)
        advisor.age()
    assert advisor.wanted(COUNT, ()) is None


def test_an_index_that_was_of_no_use_needs_more_demand() -> None:
    advisor = IndexAdvisor()
    for price in (2, 4, 8):
        advisor.raise_price("v")
        advisor.note(["v"], price * REPETITIONS * COUNT - 1)
        assert advisor.wanted(COUNT, ()) is None
        advisor.note(["v"], NOTED_MIN)
        assert advisor.wanted(COUNT, ()) is not None
    for _ in range(20):
        advisor.raise_price("v")
    advisor.note(["v"], MAX_PRICE * REPETITIONS * COUNT)
    assert advisor.wanted(COUNT, ()) is not None


def test_names_are_bounded_and_frequent_ones_stay() -> None:
    advisor = IndexAdvisor()
    advisor.note(["v"], 1000 * COUNT)
    for at in range(3 * MAX_NAMES):
        advisor.note([f"n{at}"], COUNT)
        advisor.raise_price(f"p{at}")
        advisor.check()
    assert advisor.wanted(COUNT, ()) is not None
