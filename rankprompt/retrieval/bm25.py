"""BM25 in Lucene's form, by bm25s: an index, in memory or mapped from disk, and its search."""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankprompt.errors import InputError
from rankprompt.retrieval.analyzer import words
from rankprompt.types import Document

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["K1", "B", "Index", "bm25"]

K1, B = 0.9, 0.4
"""Anserini's settings."""

_BATCH = 1000  # texts whose words are held as strings at a time


def bm25(
    queries: Mapping[str, str],
    documents: Mapping[str, Document],
    *,
    depth: int = 100,
    k1: float = K1,
    b: float = B,
    language: str = "en",
) -> dict[str, dict[str, float]]:
    """Ranks documents by BM25, with an index that is thrown away.

    Args:
        queries: texts by query id.
        documents: by id.
        depth: documents a query, at the most; those without a word in common are left out.
        k1: how soon a repeated word counts no more.
        b: how much a long document is marked down, from 0 to 1.
        language: decides what a word is, as in ``words``.

    Returns:
        Scores by query and document, best first, equal scores by document id.

    Raises:
        InputError: there are no documents, or a setting is out of range.
    """
    index = Index.build(documents.values(), language=language, k1=k1, b=b)
    return dict(index.search(queries, depth))


class Index:
    """An index of documents.

    Attributes:
        language: of the documents, as in ``words``.
        without_words: how many of them hold no word, and are never found.
    """

    def __init__(self, engine: Any, names: "_Names", language: str, without_words: int) -> None:
        self._engine, self._names = engine, names
        self.language, self.without_words = language, without_words

    @property
    def documents(self) -> int:
        """How many documents there are."""
        return len(self._names)

    @classmethod
    def build(
        cls, documents: Iterable[Document], *, language: str, k1: float = K1, b: float = B
    ) -> "Index":
        """Indexes documents; they are read once, and no more than a number a word is kept.

        Args:
            documents: with their texts; every id comes once.
            language: as in ``words``.
            k1: as in ``bm25``.
            b: as in ``bm25``.

        Raises:
            InputError: there are no documents, an id holds whitespace, or a setting is out of
                range.
        """
        import bm25s
        import numpy as np

        if not (0 <= k1 < float("inf") and 0 <= b <= 1):
            raise InputError(f"expected k1 of 0 or more and b from 0 to 1, not {k1:g} and {b:g}")
        split = words(language)
        # bm25s cannot index an empty vocabulary, and no document holds this word.
        vocabulary = {"": 0}
        rows, ids, empty = _Rows("i"), _Rows("B"), 0
        for batch in _batches(documents):
            for document, found in zip(batch, split([one.text for one in batch]), strict=True):
                if document.id.split() != [document.id]:
                    raise InputError(
                        f"a document's id must be one word without spaces, not {document.id!r}"
                    )
                ids.append(document.id.encode("utf-8", "surrogatepass"))
                rows.append([vocabulary.setdefault(word, len(vocabulary)) for word in found])
                empty += not found
        if not len(rows):
            raise InputError("no documents to search in")
        # scipy's builder needs a third of the memory of bm25s' own.
        engine = bm25s.BM25(k1=k1, b=b, method="lucene", csc_backend="scipy")
        with np.errstate(invalid="ignore"):  # where no document holds a word
            engine.index(bm25s.tokenization.Tokenized(rows, vocabulary), show_progress=False)
        return cls(engine, _Names.of(ids), language, empty)

    def save(self, folder: Path) -> None:
        """Writes the index into a folder that is there.

        Raises:
            OSError: the disk is full, or the folder cannot be written to.
        """
        self._engine.save(folder, show_progress=False)
        self._names.save(folder)

    @classmethod
    def load(cls, folder: Path, *, language: str, without_words: int) -> "Index":
        """Maps an index that ``save`` wrote; all but its vocabulary stays on the disk.

        Raises:
            OSError, ValueError, KeyError, TypeError: it is not whole.
        """
        import bm25s

        engine = bm25s.BM25.load(folder, mmap=True, show_progress=False)
        names = _Names.load(folder)
        if engine.scores["num_docs"] != len(names):
            raise ValueError(f"{folder}: ids and scores are of different documents")
        return cls(engine, names, language, without_words)

    def search(
        self, queries: Mapping[str, str], depth: int
    ) -> Iterator[tuple[str, dict[str, float]]]:
        """Ranks the documents for each query.

        Args:
            queries: texts by query id.
            depth: documents a query, at the most.

        Yields:
            A query's id with its scores by document id: best first, equal scores by document id,
            none that is 0. In the order of the queries.

        Raises:
            InputError: the depth is below 1.
        """
        if depth < 1:
            raise InputError(f"depth must be at least 1, not {depth}")
        split = words(self.language)
        vocabulary = self._engine.vocab_dict
        for batch in _batches(queries.items()):
            found = split([text for _, text in batch])
            for (query, _), terms in zip(batch, found, strict=True):
                numbers = [vocabulary[word] for word in terms if word in vocabulary]
                yield query, self._best(numbers, depth) if numbers else {}

    def _best(self, numbers: Sequence[int], depth: int) -> dict[str, float]:
        import numpy as np

        scores = self._engine.get_scores_from_ids(numbers)
        best = np.flatnonzero(scores > 0)
        if len(best) > depth:
            least = np.partition(scores[best], len(best) - depth)[len(best) - depth]
            best = best[scores[best] >= least]  # with all that tie with the last
        found = sorted((-float(scores[place]), self._names[int(place)]) for place in best)
        return {name: -score for score, name in found[:depth]}


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        yield batch


class _Rows:
    """Rows of whole numbers, end to end: four bytes or one each, where a list would take forty."""

    def __init__(self, kind: str) -> None:
        self.numbers, self.ends = array(kind), array("q")

    def append(self, row: Iterable[int]) -> None:
        self.numbers.extend(row)
        self.ends.append(len(self.numbers))

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> "Iterator[array[int]]":
        start = 0
        for end in self.ends:
            yield self.numbers[start:end]
            start = end


class _Names:
    """Document ids, end to end, in memory or mapped from disk."""

    def __init__(self, characters: "npt.NDArray[np.uint8]", ends: "npt.NDArray[np.int64]") -> None:
        self._characters, self._ends = characters, ends

    @classmethod
    def of(cls, ids: _Rows) -> "_Names":
        import numpy as np

        return cls(np.array(ids.numbers, dtype=np.uint8), np.array(ids.ends, dtype=np.int64))

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, place: int) -> str:
        start = self._ends[place - 1] if place else 0
        return (
            self._characters[start : self._ends[place]].tobytes().decode("utf-8", "surrogatepass")
        )

    def save(self, folder: Path) -> None:
        import numpy as np

        np.save(folder / "ids.npy", self._characters)
        np.save(folder / "ends.npy", self._ends)

    @classmethod
    def load(cls, folder: Path) -> "_Names":
        import numpy as np

        characters, ends = (
            np.load(folder / f"{part}.npy", mmap_mode="r") for part in ("ids", "ends")
        )
        return cls(characters, ends)
