"""Ranks the candidates of several configurations by one model; run by vLLM's own Python.

``python -m tests.llm.vllm.rank CONFIGURATIONS.json RESULTS.json``
"""

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rankprompt.llm.base import LanguageModel
from rankprompt.pipeline.candidate_source import CandidateSource
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.model_access import OwnModels
from rankprompt.pipeline.open_execution import open_execution
from rankprompt.pipeline.validation import validate
from tests.configs import configure

__all__ = ["METHODS", "OneModel", "rank"]

METHODS: dict[str, dict[str, Any]] = {
    "query likelihood": {"prompt": "query-likelihood", "method": "pointwise"},
    "listwise": {"prompt": "listwise", "method": "listwise"},
    "setwise": {"prompt": "setwise", "method": "setwise-heapsort", "k": 1},
    "prp": {"prompt": "prp", "method": "heapsort", "k": 1},
}


class OneModel(OwnModels):
    """Loads the model of the first job, and gives it to all."""

    model: Any = None

    def local(self, job: RerankJob, stack: ExitStack) -> LanguageModel:
        if self.model is None:
            self.model = super().local(job, stack)
        model: LanguageModel = self.model
        return model


def rank(options: Mapping[str, Any], models: OneModel) -> dict[str, Any]:
    """The ranking of each query, what it cost, and how many answers could not be read."""
    paths = {name: Path(value) for name, value in options.items() if name in _PATHS}
    job = validate(configure(**{**options, **paths}))
    rankings: dict[str, list[str]] = {}
    unreadable = 0
    with open_execution(job, models=models) as execution:
        for block in CandidateSource(job).blocks():
            for result in execution.rerank(block.candidates, lambda _: None):
                rankings |= result.rankings
                unreadable += result.tally.get("unreadable", 0)
        costs = vars(execution.costs)
    return {"rankings": rankings, "costs": costs, "unreadable": unreadable}


_PATHS = ("run", "queries", "docs", "output", "journal")


def main() -> None:
    configurations, results = map(Path, sys.argv[1:])
    models, found = OneModel(), {}
    for name, options in json.loads(configurations.read_text("utf-8")).items():
        found[name] = rank(options, models)
    engine = getattr(models.model, "engine", None)
    counters = engine.llm.get_metrics() if engine else ()
    metrics = {one.name: one.value for one in counters if hasattr(one, "value")}
    results.write_text(json.dumps({"results": found, "metrics": metrics}), "utf-8")


if __name__ == "__main__":
    main()
