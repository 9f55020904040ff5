"""What a run must know of a local model before it asks anything, kept in the cache directory.

The fingerprint, which the journal's keys begin with, takes all weights and a few trials. A run that
asks nothing, because the journal has all answers, can take it from an earlier run as long as the
model's files and what else it depends on are as they were.
"""

import json
import logging
import os
from collections.abc import Mapping
from datetime import date
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from rankprompt.errors import RankpromptError
from rankprompt.files.atomic_write import write_atomically
from rankprompt.files.cache_directory import cache_dir
from rankprompt.llm.local.hub_folders import cached_folder
from rankprompt.llm.local.machine import formats_file, processor_name
from rankprompt.llm.local.model_files import locate
from rankprompt.llm.local.saved_tokenizer import TokenizerText
from rankprompt.llm.local.variant import PLAIN, Variant

__all__ = ["FactsFile", "ModelFacts"]

log = logging.getLogger("rankprompt")

_FORM = "rankprompt model facts 1"
_LIBRARIES = ("rankprompt", "torch", "transformers", "tokenizers", "peft", "bitsandbytes")
# What a GGUF file's folder may add to it.
_BESIDE_GGUF = ("*.json", "*.jinja")
_MOST_FILES = 64
ADAPTER, TOKENIZER = "adapter_config.json", "tokenizer_config.json"


class ModelFacts(NamedTuple):
    """What a run must know of a local model before it asks anything.

    ``fingerprint``, ``context_length`` and ``dtype`` are as in LocalModel, ``lead`` and
    ``signature`` as in ChatTemplate ("" without one). ``special_tokens`` are those to escape.
    ``dated``: whether the chat template asks for the date, which is part of the fingerprint.
    """

    fingerprint: str
    context_length: int
    dtype: str
    encoder_decoder: bool
    lead: str
    signature: str
    dated: bool
    special_tokens: tuple[str, ...]
    tokenizer: TokenizerText


class FactsFile:
    """The file with the facts of one model, loaded with these settings, on this machine.

    Args:
        name: a folder, a ``.gguf`` file or a hub id.
        settings: the number format and the device that were asked for.
        variant: the variant that was asked for.
    """

    def __init__(self, name: str, settings: Mapping[str, str], variant: Variant = PLAIN) -> None:
        self._name, self._variant = name, variant
        self._settings = {**settings, **variant.given}
        source, gguf = locate(name)
        if Path(source).is_dir():
            source = os.path.realpath(source)
        place = json.dumps([source, gguf, self._settings], sort_keys=True)
        digest = blake2b(place.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        self.path = cache_dir("model-facts", f"{digest}.json")

    def read(self) -> ModelFacts | None:
        """Returns the facts; None if there are none, or if anything has changed since."""
        try:
            head, _, content = self.path.read_text("utf-8").partition("\n")
            if head != _head(content):
                return None
            entry = json.loads(content)
            if entry["identity"] != self._identity():
                return None
            facts = _parse(entry["facts"])
            if facts.dated and entry["day"] != date.today().isoformat():
                return None
            return facts
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def write(self, facts: ModelFacts) -> None:
        """Keeps the facts, in place of older ones; without a word where that is not possible."""
        try:
            identity = self._identity()
            if identity is None:
                return
            entry = {"identity": identity, "day": date.today().isoformat(), "facts": facts}
            content = json.dumps(entry)
            if _parse(json.loads(content)["facts"]) != facts:
                return  # Something that JSON has no word for would never be found again.
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, f"{_head(content)}\n{content}")
            for old in sorted(self.path.parent.glob("*.json"), key=_written)[:-_MOST_FILES]:
                old.unlink(missing_ok=True)
        except (OSError, ValueError, TypeError, RankpromptError) as error:
            log.debug("the facts of %s are not kept: %s", self._name, error)

    def delete(self) -> None:
        """Deletes the facts, so that the next run loads the model at once."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            log.debug("%s cannot be deleted: %s", self.path, error)

    def _identity(self) -> dict[str, Any] | None:
        """What the facts depend on, as far as a look at the files tells; None if it does not."""
        variant = self._variant
        files = [_files(self._name, variant.revision)]
        files += [_files(variant.adapter, file=ADAPTER)] if variant.adapter else []
        files += [_files(variant.tokenizer, file=TOKENIZER)] if variant.tokenizer else []
        if any(found is None for found in files):
            return None
        formats = formats_file()
        automatic = self._settings.get("dtype") == "auto" and formats.is_file()
        return {
            **self._settings,
            "files": files,
            "libraries": [_version(library) for library in _LIBRARIES],
            "processor": processor_name(),
            "formats": formats.read_text("utf-8") if automatic else "",
            "accelerators": [
                *sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*")),
                os.environ.get("CUDA_VISIBLE_DEVICES", ""),
            ],
        }


def _parse(values: list[Any]) -> ModelFacts:
    facts = ModelFacts(*values)
    return facts._replace(
        special_tokens=tuple(facts.special_tokens), tokenizer=TokenizerText(*facts.tokenizer)
    )


def _head(content: str) -> str:
    return f"{_FORM} {blake2b(content.encode(), digest_size=16).hexdigest()}"


def _written(path: Path) -> float:
    return path.stat().st_mtime


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _files(
    name: str, revision: str | None = None, file: str = "config.json"
) -> list[list[str | int]] | None:
    """Path, size and time of change of each file of a model; None if they are not known."""
    source, gguf = locate(name)
    folder = Path(source)
    if gguf:
        paths = [folder / gguf["gguf_file"]]
        paths += [path for pattern in _BESIDE_GGUF for path in folder.glob(pattern)]
    else:
        if not folder.is_dir():
            snapshot = cached_folder(source, revision=revision, file=file)
            if snapshot is None:
                return None
            folder = snapshot
        paths = [path for path in folder.rglob("*") if path.is_file()]
        if file != ADAPTER and (folder / ADAPTER).is_file():
            return None  # It names another model, whose files are elsewhere.
    stats = [(path.relative_to(folder), path.stat()) for path in sorted(paths)]
    # The folder's name tells the commit of a hub model.
    found: list[list[str | int]] = [[folder.name]]
    found += ([str(path), stat.st_size, stat.st_mtime_ns] for path, stat in stats)
    return found
