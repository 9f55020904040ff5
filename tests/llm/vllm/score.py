"""Scores options by models in vLLM; run by vLLM's own Python.

``python -m tests.llm.vllm.score QUESTION.json ANSWERS.json``
"""

import json
import sys
from pathlib import Path

from rankprompt.llm import load_model
from rankprompt.llm.base import Request
from rankprompt.llm.vllm.settings import EngineSettings


def main() -> None:
    asked, answered = map(Path, sys.argv[1:])
    question = json.loads(asked.read_text("utf-8"))
    requests = [Request(prompt, tuple(options)) for prompt, options in question["requests"]]
    found = []
    for case in question["cases"]:
        settings = EngineSettings(options={"enforce_eager": True, "block_size": 32})
        model = load_model(
            f"vllm:{case['folder']}",
            dtype=case["dtype"],
            adapter=case.get("adapter"),
            engine=settings,
        )
        batches = model.plan(requests)
        answers = {
            index: answer.loglikelihoods
            for batch in batches
            for index, answer in zip(
                batch, model.answer([requests[index] for index in batch])[0], strict=True
            )
        }
        found.append([answers[index] for index in range(len(requests))])
    answered.write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    main()
