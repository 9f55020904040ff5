"""The cost of a run by the manifest beside it; what the manifest does not say is unknown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rankprompt.errors import InputError
from rankprompt.files.json_schema import parse_json, read_text
from rankprompt.files.manifest import describe_file, manifest_path

__all__ = ["Cost", "read_cost"]


@dataclass(frozen=True)
class Cost:
    """The cost of making a run; None is unknown, and never an estimate.

    Attributes:
        problem: why the whole cost is unknown; None where the manifest is that of the run.
        comparisons: questions to the judge.
        prompts: sent to the model.
        from_journal: prompts that the journal answered; what they had cost before is unknown.
        tokens: read and written by the model, without padding.
        seconds: wall-clock time of the whole job.
        diagnostics: of the judge, as ``rankprompt.judges.diagnostics.summarise`` gives them.
        manifest: the whole manifest.
    """

    problem: str | None = None
    comparisons: int | None = None
    prompts: int | None = None
    from_journal: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    diagnostics: Mapping[str, float | None] = field(default_factory=dict)
    manifest: Mapping[str, object] | None = None


def read_cost(run: Path) -> Cost:
    """Reads the manifest beside a run, if it was written for this very run.

    The manifest is found by the file's name, and another run may have that name by now: it counts
    only if it holds the digest of the run.

    Args:
        run: the run's file; the manifest of better.trec is better.json.
    """
    try:
        path = manifest_path(run)
    except InputError:
        return Cost("the file beside it is no manifest")
    if not path.exists():
        return Cost(f"no manifest beside it ({path.name})")
    manifest = _mapping(parse_json(read_text(path)))
    digest = _mapping(manifest.get("output")).get("blake2b")
    if digest is None:
        return Cost(f"{path.name} does not say which run it belongs to")
    if digest != describe_file(run)["blake2b"]:
        return Cost(f"{path.name} belongs to another run")
    costs = _mapping(manifest.get("costs"))
    read, written = _count(costs.get("prompt_tokens")), _count(costs.get("written_tokens"))
    diagnostics = _mapping(manifest.get("diagnostics"))
    return Cost(
        comparisons=_count(costs.get("comparisons_asked")),
        prompts=_count(costs.get("prompts")),
        from_journal=_count(costs.get("prompts_from_journal")),
        tokens=None if read is None or written is None else read + written,
        seconds=_number(costs.get("seconds"), least=0),
        diagnostics={name: _number(value) for name, value in diagnostics.items()},
        manifest=manifest,
    )


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _number(value: object, least: float = -1e300) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if least <= value < 1e300 else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and _number(value, least=0) is not None else None
