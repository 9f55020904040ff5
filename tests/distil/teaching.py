"""A small collection to learn from: words that mean relevant, in queries of our own."""

import json
from pathlib import Path
from random import Random
from typing import Any

from rankprompt.distil.config import DistilConfig
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_keywords import config_from_options
from tests.llm.rerankers.heads import save_base

__all__ = ["YES_NO", "Lesson"]

_WORDS = [
    "harbour",
    "mill",
    "river",
    "wheel",
    "boats",
    "morning",
    "passage",
    "answer",
    "quiet",
    "years",
]


class Lesson:
    """Queries with candidates and grades, and a student: a tiny model with random weights.

    Args:
        folder: an empty folder.
        queries: how many.
        documents: of each query.
    """

    def __init__(self, folder: Path, queries: int = 4, documents: int = 8) -> None:
        self.folder, self.student = folder, save_base(folder / "llama")
        self.run, self.queries = folder / "run.trec", folder / "queries.tsv"
        self.docs, self.qrels = folder / "docs.jsonl", folder / "qrels.trec"
        self.output = folder / "mine"
        random = Random(0)
        runs, docs, grades = [], [], []
        for query in range(queries):
            for place in range(documents):
                name = f"d{query}-{place}"
                grade = place % 3
                text = " ".join([*random.choices(_WORDS, k=6), *["river"] * 2 * grade])
                runs.append(f"q{query} Q0 {name} {place + 1} {documents - place} first")
                docs.append(json.dumps({"id": name, "text": text}))
                grades.append(f"q{query} 0 {name} {grade}")
        self.run.write_text("\n".join(runs) + "\n")
        self.docs.write_text("\n".join(docs) + "\n")
        self.qrels.write_text("\n".join(grades) + "\n")
        self.queries.write_text(
            "".join(f"q{query}\twhere is the mill\n" for query in range(queries))
        )

    @property
    def options(self) -> dict[str, Any]:
        """The options that name the candidates."""
        return {"run": self.run, "queries": self.queries, "docs": self.docs}

    @property
    def oracle(self) -> str:
        """The teacher that reads the grades."""
        return f"oracle:{self.qrels}"

    def config(
        self,
        *,
        pairs: int = 1000,
        output: Path | None = None,
        choose: str = "random",
        **more: Any,
    ) -> DistilConfig:
        """A distillation; the oracle teaches where no model is named."""
        teacher = config_from_options(
            RerankConfig(), {**self.options, "model": self.oracle, **more}
        )
        return DistilConfig(
            output or self.output, teacher, str(self.student), pairs=pairs, choose=choose
        )


YES_NO = """
kind = "grades"
text = "Passage: {passage} Query: {query} Relevant? Answer:"
options = [" A", " B"]
grades = [1, 0]
"""
"""A prompt whose options are single tokens to the student."""
