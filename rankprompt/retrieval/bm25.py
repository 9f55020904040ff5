"""BM25 in Lucene's variant, by bm25s: an index in memory or mapped from disk, and its search."""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from rankprompt.errors import InputError
from rankprompt.files.text_lines import is_word, split_columns
from rankprompt.retrieval.analyzer import words
from rankprompt.types import Document

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["K1", "B", "Index", "bm25"]

K1, B = 0.9, 0.4
"""Anserini's parameters."""

_T = TypeVar("_T")

_FIRST_WITHOUT_WORDS = "first_without_words.txt"
_MAX_NAMES = 3
_BATCH = 1000  # texts whose words are strings in memory at the same time


class _Engine(Protocol):
    """The part of ``bm25s.BM25`` that is used here."""

    vocab_dict: Mapping[str, int]

    def get_scores_from_ids(self, ids: Sequence[int]) -> "npt.NDArray[np.float32]": ...

    def save(self, folder: Path, *, show_progress: bool) -> None: ...


def bm25(
    queries: Mapping[str, str],
    documents: Mapping[str, Document],
    *,
    depth: int = 100,
    k1: float = K1,
    b: float = B,
    language: str = "en",
) -> dict[str, dict[str, float]]:
    """Ranks documents by BM25, with a temporary index.

    Args:
        queries: texts by query id.
        documents: by id.
        depth: the largest number of documents per query. Documents that share no word with the
            query are left out.
        k1: the saturation of term frequencies, 0 or more; 0 ignores repetitions of a word.
        b: the length normalisation, from 0 (none) to 1 (full).
        language: decides how texts are split, as in ``words``.

    Returns:
        Scores by query and document, best first, equal scores by document id.

    Raises:
        InputError: there are no documents, or a parameter is out of range.
    """
    index = Index.build(documents.values(), language=language, k1=k1, b=b)
    return dict(index.search(queries, depth))


class Index:
    """A BM25 index.

    Attributes:
        language: the language of the documents, as in ``words``.
        without_words: the number of documents without any word, which are never found.
        first_without_words: the ids of the first of them.
    """

    def __init__(
        self,
        engine: _Engine,
        names: "_Names",
        language: str,
        without_words: int,
        first_without_words: Sequence[str],
    ) -> None:
        self._engine, self._names = engine, names
        self.language, self.without_words = language, without_words
        self.first_without_words = tuple(first_without_words)

    @property
    def documents(self) -> int:
        """The number of documents."""
        return len(self._names)

    @classmethod
    def build(
        cls, documents: Iterable[Document], *, language: str, k1: float = K1, b: float = B
    ) -> "Index":
        """Indexes documents, which are read once; each of their words takes four bytes.

        Args:
            documents: the documents, each with a different id.
            language: as in ``words``.
            k1: as in ``bm25``.
            b: as in ``bm25``.

        Raises:
            InputError: there are no documents, an id contains white space, or a parameter is out
                of range.
        """
        import bm25s
        import numpy as np

        if not (0 <= k1 < float("inf") and 0 <= b <= 1):
            raise InputError(
                f"expected `k1` of 0 or more and `b` from 0 to 1, not {k1:g} and {b:g}"
            )
        split = words(language)
        # bm25s cannot index an empty vocabulary, and no document has this word.
        vocabulary = {"": 0}
        rows, ids, empty = _Rows("i"), _Rows("B"), 0
        first: list[str] = []
        for batch in _batches(documents):
            split_batch = split([document.text for document in batch])
            for document, tokens in zip(batch, split_batch, strict=True):
                if not is_word(document.id):
                    raise InputError(
                        f"a document's id must be one word without spaces, not {document.id!r}"
                    )
                ids.append(document.id.encode("utf-8", "surrogatepass"))
                rows.append([vocabulary.setdefault(word, len(vocabulary)) for word in tokens])
                empty += not tokens
                if not tokens and len(first) < _MAX_NAMES:
                    first.append(document.id)
        if not len(rows):
            raise InputError("no documents to search in")
        # scipy's builder needs a third of the memory of bm25s' own.
        engine = bm25s.BM25(k1=k1, b=b, method="lucene", csc_backend="scipy")
        with np.errstate(invalid="ignore"):  # if no document has a word
            engine.index(bm25s.tokenization.Tokenized(rows, vocabulary), show_progress=False)
        return cls(engine, _Names.of(ids), language, empty, first)

    def save(self, folder: Path) -> None:
        """Writes the index into an existing folder.

        Raises:
            OSError: the folder cannot be written to.
        """
        self._engine.save(folder, show_progress=False)
        self._names.save(folder)
        first = " ".join(self.first_without_words)
        (folder / _FIRST_WITHOUT_WORDS).write_text(first, "utf-8", "surrogatepass")

    @classmethod
    def load(cls, folder: Path, *, language: str, without_words: int) -> "Index":
        """Maps an index that ``save`` wrote; only its vocabulary is read into memory.

        Raises:
            OSError, ValueError, KeyError, TypeError: the index is damaged.
        """
        import bm25s

        engine = bm25s.BM25.load(folder, mmap=True, show_progress=False)
        names = _Names.load(folder)
        if engine.scores["num_docs"] != len(names):
            raise ValueError(f"{folder}: ids and scores belong to different documents")
        first = (folder / _FIRST_WITHOUT_WORDS).read_text("utf-8", "surrogatepass")
        return cls(engine, names, language, without_words, split_columns(first) if first else ())

    def search(
        self, queries: Mapping[str, str], depth: int
    ) -> Iterator[tuple[str, dict[str, float]]]:
        """Ranks the documents for each query.

        Args:
            queries: texts by query id.
            depth: the largest number of documents per query.

        Yields:
            Each query's id with its positive scores by document id, best first, equal scores by
            document id; in the order of the queries.

        Raises:
            InputError: the depth is below 1.
        """
        if depth < 1:
            raise InputError(f"`depth` must be at least 1, not {depth}")
        split = words(self.language)
        vocabulary = self._engine.vocab_dict
        for batch in _batches(queries.items()):
            words_of_batch = split([text for _, text in batch])
            for (query, _), terms in zip(batch, words_of_batch, strict=True):
                numbers = [vocabulary[word] for word in terms if word in vocabulary]
                yield query, self._best(numbers, depth) if numbers else {}

    def _best(self, numbers: Sequence[int], depth: int) -> dict[str, float]:
        import numpy as np

        scores = self._engine.get_scores_from_ids(numbers)
        best = np.flatnonzero(scores > 0)
        if len(best) > depth:
            least = np.partition(scores[best], len(best) - depth)[len(best) - depth]
            best = best[scores[best] >= least]  # includes all ties with the last
        ranked = sorted((-float(scores[index]), self._names[int(index)]) for index in best)
        return {name: -score for score, name in ranked[:depth]}


def _batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        yield batch


class _Rows:
    """Rows of whole numbers in one array: four bytes or one each, where a list would take forty."""

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
    """Document ids in one array of bytes, in memory or mapped from disk."""

    def __init__(self, characters: "npt.NDArray[np.uint8]", ends: "npt.NDArray[np.int64]") -> None:
        self._characters, self._ends = characters, ends

    @classmethod
    def of(cls, ids: _Rows) -> "_Names":
        import numpy as np

        return cls(np.array(ids.numbers, dtype=np.uint8), np.array(ids.ends, dtype=np.int64))

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> str:
        start = self._ends[index - 1] if index else 0
        encoded = self._characters[start : self._ends[index]].tobytes()
        return encoded.decode("utf-8", "surrogatepass")

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
