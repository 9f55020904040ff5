r"""PromptQuine (arXiv 2506.17930): prompts evolved by pruning tokens, on DEAP.

``evolution`` runs a whole evolution from a task file. A search over prompts of your own::

    prompt = load_prompt("prp-demonstrations")
    frozen = ["\n\nPassage A: ", "\n\nPassage B: ", "Output Passage A or Passage B:"]
    seed = SeedPrompt(segment(prompt.text, frozen), model_offsets("smollm2-135m"))
    config = SearchConfig(method="gga", evaluations=400, seed=1)

    def fitness(prompts, *, share):  # templates -> scores, higher is better
        return [score(prompt) for prompt in prompts]

    with RunFolder(path, seed, config, {"model": "smollm2-135m"}) as folder:
        state = folder.resume(fitness)  # new, or after its last finished generation
        for generation in run_search(state):
            folder.save(state)
    evolved = replace(prompt, text=seed.template(state.best.genome))
    write_atomically(output, format_prompt(evolved))  # for rerank --prompt

Without a run folder, a search starts with ``SearchState(seed, config, Archive(fitness))``. Modules
that need DEAP are imported by their names, so importing this package costs little.
"""

from rankprompt.search.archive import Archive
from rankprompt.search.config import METHODS, EvolveConfig, SearchConfig
from rankprompt.search.fitness.base import Fitness
from rankprompt.search.genome import (
    Frozen,
    Genome,
    Offsets,
    Prunable,
    SeedPrompt,
    Segment,
    Slot,
    segment,
)

__all__ = [
    "METHODS", "Archive", "EvolveConfig", "Fitness", "Frozen", "Genome", "Offsets", "Prunable",
    "SearchConfig", "SeedPrompt", "Segment", "Slot", "segment",
]  # fmt: skip
