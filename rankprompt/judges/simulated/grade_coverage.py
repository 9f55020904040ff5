"""Which queries of a run an oracle has grades for: grades of other queries change no order."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from rankprompt.errors import InputError
from rankprompt.types import Candidates

__all__ = ["GradeCoverage"]

_SHOWN = 5

log = logging.getLogger("rankprompt")


class GradeCoverage:
    """Counts the queries that an oracle has grades for.

    Args:
        path: the file of the grades, for messages.
        qrels: grades by query id and document id.
    """

    def __init__(self, path: Path, qrels: Mapping[str, Mapping[str, int]]) -> None:
        self._path, self._qrels = path, qrels
        self._queries, self._ungraded, self._meets = 0, list[str](), False

    def add(self, candidates: Sequence[Candidates]) -> None:
        """Counts the queries of some candidates."""
        for query in candidates:
            grades = self._qrels.get(query.query.id)
            self._queries += 1
            if not grades:
                self._ungraded.append(query.query.id)
            elif not self._meets:
                self._meets = any(document.id in grades for document in query.documents)

    def finish(self) -> None:
        """Tells of the queries without grades.

        Raises:
            InputError: no query has a grade, so that no order would change.
        """
        if not self._queries:
            return
        number, shown = len(self._ungraded), ", ".join(self._ungraded[:_SHOWN])
        if number == self._queries:
            raise InputError(
                f"{self._path}: no query of the run has a grade there ({shown}"
                f"{' ...' if number > _SHOWN else ''}); give the grades of these queries"
            )
        if self._ungraded:
            log.warning(
                "%s: queries without grades, which keep the run's order: %d of %d, %s%s",
                self._path, number, self._queries, shown, " ..." if number > _SHOWN else "",
            )  # fmt: skip
        if not self._meets:
            log.warning(
                "%s: none of the candidates has a grade; every query keeps the run's order",
                self._path,
            )
