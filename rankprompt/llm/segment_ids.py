"""Segment ids (``token_type_ids``) tell a query from a passage; which classifiers read them."""

from pathlib import Path

from rankprompt.llm.model_folders import read_settings
from rankprompt.llm.tokenizer_offsets import load_by_transformers

__all__ = ["gives_segments", "segments_word"]

# Tokenizers of transformers 5 that give segment ids unless ``tokenizer_config.json`` says which
# inputs they give. All others then give none, that without a class of its own included.
_TOKENIZERS = {
    "BertTokenizer", "ConvBertTokenizer", "DebertaTokenizer", "DebertaV2Tokenizer",
    "ElectraTokenizer", "FNetTokenizer", "MobileBertTokenizer", "SqueezeBertTokenizer",
}  # fmt: skip
# transformers gives these models the tokenizer that is named, whatever else the folder says.
_PLAIN = ("bert", "electra")


def gives_segments(folder: Path, *, is_onnx: bool) -> bool:
    """Whether a classifier's tokenizer gives segment ids, as transformers would load it.

    A classifier was trained with what its tokenizer gives, so it must be given no more: BERT with
    segment ids that it has not seen ranks much worse.

    Args:
        folder: The model's folder.
        is_onnx: Whether the model is one of ONNX, beside which transformers may not be installed.
            Where the folder does not say which tokenizer it has, the model's inputs then decide.

    Raises:
        ModelError: transformers is needed to tell, and cannot load the tokenizer.
    """
    settings = read_settings(folder / "tokenizer_config.json")
    inputs = settings.get("model_input_names")
    if isinstance(inputs, list):
        return "token_type_ids" in inputs
    tokenizer = settings.get("tokenizer_class")
    is_known = isinstance(tokenizer, str) and tokenizer.removesuffix("Fast") in _TOKENIZERS
    if is_onnx:
        return is_known or not isinstance(tokenizer, str)
    config = read_settings(folder / "config.json")
    if not _has_segments(config):
        return False
    if is_known and config.get("model_type") in _PLAIN:
        return True  # without the import of transformers, which takes seconds
    return "token_type_ids" in load_by_transformers(str(folder)).model_input_names


def segments_word(folder: Path, segments: bool, *, is_onnx: bool) -> str:
    """A word for a classifier's fingerprint where its own configuration would say otherwise.

    It alone decided once: a journal of that time must not answer for what is read now, and all
    other journals stay valid.

    Args:
        folder: The model's folder.
        segments: As ``gives_segments`` says.
        is_onnx: As there.
    """
    config = read_settings(folder / "config.json")
    if segments:
        differs = not is_onnx and "type_vocab_size" not in config
    else:
        # An ONNX model without a configuration may have had them.
        differs = _has_segments(config) or not config
    return " segments" if differs else ""


def _has_segments(config: dict[str, object]) -> bool:
    """Whether a ``config.json`` knows several segments; transformers writes how many."""
    number = config.get("type_vocab_size")
    return isinstance(number, int) and number > 1
