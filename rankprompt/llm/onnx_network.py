"""Networks in ONNX, run by onnxruntime on the CPU."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankprompt.errors import PIP_LINES, ModelError
from rankprompt.llm.local.model_files import first_line

if TYPE_CHECKING:
    from rankprompt.llm.network_inputs import Forward

__all__ = ["check_onnxruntime", "find_onnx", "open_onnx"]

# As exporters name them, best first.
_FILES = ("model.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx")
_SEGMENTS = "token_type_ids"
_INPUTS = {"input_ids", "attention_mask", _SEGMENTS}
_TYPES = {"tensor(int64)": "int64", "tensor(int32)": "int32"}


def find_onnx(folder: Path) -> Path | None:
    """Returns the ONNX model of a folder, unless transformers has weights to load there.

    That is ``model.onnx`` in any case; and ``onnx/model.onnx``, or else
    ``onnx/model_quantized.onnx``, in a folder without weights of another kind.
    """
    first, *others = (folder / name for name in _FILES)
    if first.is_file():
        return first
    if any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin")):
        return None
    return next((path for path in others if path.is_file()), None)


def check_onnxruntime() -> None:
    """Raises a ModelError with the pip command where onnxruntime is not installed."""
    if find_spec("onnxruntime") is None:
        raise ModelError(f"an ONNX model needs: {PIP_LINES['onnx']}")


def open_onnx(path: Path, *, segments: bool = True) -> "Forward":
    """Opens a model for a single core: other cores run other texts.

    A second thread within a text is waited for at each layer, which costs 38% more processor time
    (measured with ms-marco-MiniLM-L-12-v2 in int8 and 2 threads).

    Args:
        path: The model.
        segments: Whether it is given segment ids; else all are 0, where it has an input for them.

    Raises:
        ModelError: The model cannot be loaded, or has inputs that are not known.
    """
    check_onnxruntime()
    import onnxruntime

    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's own exceptions share no base class
        raise ModelError(f"cannot load {path}: {first_line(error)}") from error
    types = {node.name: _TYPES.get(node.type) for node in session.get_inputs()}
    for name, number_format in types.items():
        if name not in _INPUTS or number_format is None:
            raise ModelError(f"{path}: the model has an unknown input, {name!r}")

    def forward(inputs: Any) -> Any:
        given = {name: inputs[name].astype(kind, copy=False) for name, kind in types.items()}
        if not segments and _SEGMENTS in given:
            given[_SEGMENTS] = 0 * given[_SEGMENTS]
        try:
            output = session.run(None, given)[0]
        except Exception as error:
            raise ModelError(f"cannot run {path}: {first_line(error)}") from error
        return output.astype("float32", copy=False)

    return forward
