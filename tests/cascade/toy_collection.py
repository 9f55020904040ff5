"""A collection and a teacher small enough to read."""

from collections.abc import Callable, Mapping, Sequence

from rankprompt.cascade.input_embeddings import Encoder
from rankprompt.cascade.training.examples import WindowTexts
from rankprompt.cascade.window_scores import WindowQuestion
from rankprompt.cascade.windows import WindowConfig
from rankprompt.llm.tokenizer_offsets import model_offsets
from rankprompt.types import Candidates, Document, Qrels, Query

WORDS = ("harbour", "mill", "river", "boats", "wheel", "morning")


def text_of(word: str, place: int) -> str:
    """Six sentences; the one at ``place`` has the word."""
    filler = "The answer is the passage about the old years above it."
    return " ".join(f"The {word} is quiet." if i == place else filler for i in range(6))


def collection() -> tuple[list[Candidates], dict[str, dict[str, int]]]:
    documents = [Document(f"d{i}", text_of(word, i % 6)) for i, word in enumerate(WORDS)]
    candidates = [
        Candidates(Query(f"q{i}", f"Which {word}?"), tuple(documents), (1.0,) * len(documents))
        for i, word in enumerate(WORDS)
    ]
    return candidates, {f"q{i}": {f"d{i}": 1} for i in range(len(WORDS))}


def questions(*windows: str) -> list[WindowQuestion]:
    return [WindowQuestion("q", "d", i, ("cold feet", text)) for i, text in enumerate(windows)]


def by_words(pairs: Sequence[tuple[str, str]]) -> list[float]:
    return [float(query.split()[1][:-1] in window) * 4 for query, window in pairs]


def cutter(encoder: Encoder, windows: WindowConfig) -> WindowTexts:
    return WindowTexts(model_offsets(encoder.source), windows)


def reciprocal(qrels: Qrels) -> Callable[[Mapping[str, Mapping[str, float]]], float]:
    """In place of nDCG, for speed: the mean of 1/rank of the relevant document."""

    def measure(run: Mapping[str, Mapping[str, float]]) -> float:
        values = []
        for query, scores in run.items():
            (good,) = [one for one, grade in qrels[query].items() if grade]
            values.append(1 / sum(score >= scores[good] for score in scores.values()))
        return sum(values) / len(values)

    return measure


def count_windows(encoder: Encoder) -> int:
    cut = cutter(encoder, WindowConfig(10, 1))
    return sum(len(cut(one.text)) for each in collection()[0] for one in each.documents)
