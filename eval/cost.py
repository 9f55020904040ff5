"""What a run cost, from the manifest beside it; what the manifest does not say is unknown."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rankprompt.errors import InputError
from rankprompt.files.manifest import describe_file, manifest_path

__all__ = ["Cost", "read_cost"]


@dataclass(frozen=True)
class Cost:
    """What making a run took; None is unknown, and never a guess.

    Attributes:
        problem: why all is unknown; None where the manifest is the run's.
        comparisons: that asked the judge.
        prompts: asked of the model.
        from_journal: prompts that the journal answered: what they had cost before is not known.
        tokens: read and written by the model, padding left out.
        seconds: of the whole job, on the clock.
        diagnostics: of the judge, as ``rankprompt.judges.diagnostics.summarise`` gives them.
        manifest: the whole of it.
    """

    problem: str | None = None
    comparisons: int | None = None
    prompts: int | None = None
    from_journal: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    diagnostics: Mapping[str, float | None] = field(default_factory=dict)
    manifest: Mapping[str, Any] | None = None


def read_cost(run: Path) -> Cost:
    """Reads the manifest beside a run, if it is that of just this run.

    A manifest lies at a name, and a run of that name may be another by now: only the digest of
    the run in it counts.

    Args:
        run: the run's file; its manifest is better.json beside better.trec.
    """
    try:
        path = manifest_path(run)
    except InputError:
        return Cost("the file beside it is no manifest")
    if not path.exists():
        return Cost(f"no manifest beside it ({path.name})")
    manifest = json.loads(path.read_text("utf-8"))
    written = _table(manifest.get("output")).get("blake2b")
    if written is None:
        return Cost(f"{path.name} does not say which run it belongs to")
    if written != describe_file(run)["blake2b"]:
        return Cost(f"{path.name} belongs to another run")
    costs = _table(manifest.get("costs"))
    tokens = [_whole(costs.get(name)) for name in ("prompt_tokens", "written_tokens")]
    return Cost(
        comparisons=_whole(costs.get("comparisons_asked")),
        prompts=_whole(costs.get("prompts")),
        from_journal=_whole(costs.get("prompts_from_journal")),
        tokens=None if None in tokens else sum(filter(None, tokens)),
        seconds=_cost(costs.get("seconds")),
        diagnostics={
            name: _number(value) for name, value in _table(manifest.get("diagnostics")).items()
        },
        manifest=manifest,
    )


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number and -1e300 < value < 1e300 else None


def _cost(value: Any) -> float | None:
    found = _number(value)
    return found if found is not None and found >= 0 else None


def _whole(value: Any) -> int | None:
    found = _cost(value)
    return found if isinstance(found, int) else None
