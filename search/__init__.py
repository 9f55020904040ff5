r"""PromptQuine (arXiv 2506.17930): prompts evolved by pruning tokens.

Importing this package costs next to nothing; the operators, which need DEAP, are imported from
their modules. How the pieces meet::

    prompt = load_prompt("prp-demonstrations")
    offsets = token_offsets(tokenizer)                     # of the model that will read the prompt
    frozen = ["\n\nPassage A: ", "\n\nPassage B: ", "Output Passage A or Passage B:"]
    seed = SeedPrompt(segment(prompt.text, frozen), offsets)
    settings = SearchSettings(method="gga", evaluations=400, seed=1)

    def fitness(prompts):                                  # texts of templates -> scores
        return [score(parse_template(text)) for text in prompts]

    with Record(folder, seed, settings, {"model": model.fingerprint}) as record:
        under_way = record.begin(fitness)                  # fresh, or after its last generation
        for generation in search(under_way, Limits(stop_file=folder / "stop")):
            record.save(under_way)                         # no finished generation is ever lost
            show(generation.row)
        print(under_way.stop)
    best = top(under_way.history, settings.calibrated)     # to be calibrated, best first
    evolved = replace(prompt, text=seed.template(best[0].genome))
    write_atomically(path, format_prompt(evolved))         # for rerank --prompt

``Record`` is in ``record``, ``search`` in ``methods``, ``Limits`` in ``state``, ``top`` and
``front`` in ``choosing``, ``format_prompt`` in ``promptfile``. Without a record, a search is
``Search.begin(seed, settings, Archive(fitness))``.
"""

from rankprompt.search.archive import Archive, Fitness
from rankprompt.search.config import METHODS, SearchSettings
from rankprompt.search.genome import (
    Frozen,
    Genome,
    Offsets,
    Prunable,
    SeedPrompt,
    Segment,
    Slot,
    segment,
    token_offsets,
)

__all__ = [
    "METHODS",
    "Archive",
    "Fitness",
    "Frozen",
    "Genome",
    "Offsets",
    "Prunable",
    "SearchSettings",
    "SeedPrompt",
    "Segment",
    "Slot",
    "segment",
    "token_offsets",
]
