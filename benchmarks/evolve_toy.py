"""The search against an exhaustive one, on toy seeds of twelve tokens: docs/evolve.md.

Scores are a formula (tests/search/toys.py), so no model is needed and the figures depend on no
machine.
"""

from pathlib import Path
from statistics import fmean

from benchmarks.tables import replace_part, table
from rankprompt.search.loop import evolve
from tests.search.toys import best_of_all, landscape, seed_of, start

PAGE = Path("docs/evolve.md")
WRITER = "benchmarks/evolve_toy.py"
SEARCHES, TOKENS = 20, 12
BUDGETS = (1000, 1500)


def searches(method: str, *, restart: bool) -> list[tuple[int | None, int]]:
    """Of each search, after how many evaluations it found the best genome, and how many it made."""
    found = []
    for number in range(SEARCHES):
        fitness = landscape(number)
        best = best_of_all(seed_of(TOKENS), fitness)
        search = start(
            TOKENS, fitness, method=method, evaluations=BUDGETS[-1], restart=restart, seed=number
        )
        hit = None
        for _ in evolve(search):
            assert search.best is not None
            assert search.best.score is not None
            if hit is None and search.best.score >= best - 1e-9:
                hit = search.archive.evaluations
        found.append((hit, search.archive.evaluations))
    return found


def main() -> None:
    rows = []
    for method in ("gga", "ssga"):
        for restart in (False, True):
            found = searches(method, restart=restart)
            hits = [sum(hit is not None and hit <= most for hit, _ in found) for most in BUDGETS]
            spent = f"{fmean(made for _, made in found):,.0f}"
            name = method + (" --restart" if restart else "")
            rows.append([name, spent, *(f"{hit} of {SEARCHES}" for hit in hits)])
    columns = ("method", "evaluations made", *(f"found within {most:,}" for most in BUDGETS))
    text = table(columns, rows) + "\n"
    replace_part(PAGE, WRITER, text)
    print(text)


if __name__ == "__main__":
    main()
