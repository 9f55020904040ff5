"""Options that are wrong: one line that names the option and what was meant, exit code 2."""

import re

import pytest

from tests.cli.conftest import INPUTS, Collection, Command
from tests.cli.refusals import refused
from tests.fakes import FakeModel


@pytest.mark.parametrize(
    ("option", "written", "meant"),
    [
        ("method", "heapsrt", "heapsort"),
        ("order", "bot", "both"),
        ("decide", "agreemnt", "agreement"),
        ("mode", "generate", "generation"),
        ("input_order", "invers", "inverse"),
        ("prompt", "query-likelyhood", "query-likelihood"),
        ("model", "smollm2-135", "smollm2-135m"),
        ("model", "SmolLM2-135M", "smollm2-135m"),
        ("model", "Oracle:q.trec", "oracle:q.trec"),
        ("model", "oracle", "oracle:MODEL"),
        ("model", "opnai:gpt-4.1-mini", "openai:gpt-4.1-mini"),
        ("model", "OpenAI", "openai:MODEL"),
        ("model", "crossencoder:BAAI/bge-reranker-v2-m3", "cross-encoder:BAAI/bge-reranker-v2-m3"),
        ("model", "ms-marco-MiniLM-L-12", "ms-marco-minilm-l12"),
        ("model", "ms-marco-minilm", "ms-marco-minilm-l12"),
    ],
)
def test_an_unknown_name_is_answered_with_the_one_that_was_meant(
    command: Command,
    collection: Collection,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    written: str,
    meant: str,
) -> None:
    def unwanted(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded before the names were checked")

    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", unwanted)
    ran = command(*collection.rerank(**{"model": "smollm2-135m", option: written}))
    kind = option.replace("_", " ")
    refused(ran, f"unknown {kind} '{written}'; did you mean '{meant}'\\? Known: ")
    assert collection.files() == INPUTS


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("./models/mine", "--model ./models/mine: no such file or folder"),
        ("~/no-such-model", "--model ~/no-such-model: no such file or folder"),
        ("mine.gguf", "--model mine.gguf: no such file or folder"),
        ("models/of/mine", "--model models/of/mine: no such file or folder"),
        ("cross-encoder:/mine", "--model /mine: no such file or folder"),
        ("cross-encoder:", "--model cross-encoder:: write a folder or a hub id after the colon"),
        ("", "--model is empty; leave it out for ms-marco-minilm-l12, or name a model"),
        (" ", "--model is empty"),
        ("local: ", "--model local: : write a folder or a hub id after the colon"),
        ("oracle:", "--model oracle:: give the qrels after the colon, as in oracle:QRELS.trec"),
        (__file__, f"--model {__file__}: the file of a model ends in .gguf or .onnx"),
        ("llama3:8b", "unknown model 'llama3:8b'. Known: "),
        ("openai:", "--model openai:MODEL needs the model's name at the server"),
        ("rerank:m", "--model rerank:m needs --base-url: the base URL ends in "),
    ],
)
def test_a_model_that_cannot_be_meant_is_refused_before_the_hub_is_asked(
    command: Command, collection: Collection, fake: FakeModel, name: str, message: str
) -> None:
    refused(command(*collection.rerank(model=name)), re.escape(message))
    assert (collection.files(), fake.batches) == (INPUTS, [])


@pytest.mark.parametrize("name", ["gpt2", "bert-base-uncased", "openai-community/gpt2"])
@pytest.mark.usefixtures("fake")
def test_hub_ids_are_names_of_models(command: Command, collection: Collection, name: str) -> None:
    ran = command(*collection.rerank("--keep-going", model=name))
    assert ran.code == 0, ran.err


@pytest.mark.parametrize("value", [0, -3])
@pytest.mark.parametrize("option", ["k", "passes", "depth", "limit"])
def test_numbers_of_things_start_at_one(
    command: Command, collection: Collection, option: str, value: int
) -> None:
    ran = command(*collection.rerank(**{option: value}))
    refused(ran, f"--{option} must be at least 1, not {value}")
    assert collection.files() == INPUTS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": 1.5}, "--noise must be from 0 to 1, not 1.5"),
        ({"noise": "nan"}, "--noise must be a finite number, not nan"),
        ({"noise": 0.1, "model": "fake"}, "--noise goes with --model oracle:QRELS only"),
        ({"prior": -1}, "--prior must be from 0 to 1e+06, not -1"),
        ({"prior": "inf", "model": "fake"}, "--prior must be a finite number, not inf"),
        ({"tournaments": 10**6}, "--tournaments must be from 1 to 1000, not 1000000"),
        ({"threads": 10**6}, "--threads must be from 1 to 1024, not 1000000"),
        ({"passage_tokens": 0, "model": "fake"}, "--passage-tokens must be at least 1, not 0"),
        ({"batch_tokens": 0, "model": "fake"}, "--batch-tokens must be at least 1, not 0"),
        (
            {"mode": "generation", "model": "smollm2-135m", "prompt": "query-likelihood"},
            "--mode generation needs a prompt whose answer is written, such as a choice; "
            "query-likelihood is of kind likelihood",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    command: Command,
    collection: Collection,
    fake: FakeModel,
    options: dict[str, object],
    message: str,
) -> None:
    refused(command(*collection.rerank(**options)), re.escape(message))
    assert (collection.files(), fake.batches) == (INPUTS, [])


# A command and what it requires, which need not exist: numbers are looked at first.
VERBS = {
    "rerank": ("depth", "limit", "k", "seed", "max-tokens", "max-cost"),
    "plan": ("depth", "seeds", "price-in"),
    "retrieve --output x": ("depth", "limit", "k1", "b"),
    "fuse a b --output x": ("k", "depth"),
    "inspect": ("depth",),
    "export --output x": ("depth",),
    "index --output x": ("threads",),
    "compare a --baseline b": ("seed",),
    "report a --output x": ("seed",),
    "evolve run x --output y": ("evaluations", "population", "seed", "minutes", "calibrated"),
    "evolve show x": ("best",),
    "serve": ("depth", "port", "max-queue", "max-body"),
    "cascade report --run a --queries b --docs c --qrels d": ("keep", "depth"),
    "cascade train --stage esm --teacher a --run b --queries c --docs d --qrels e --output f": (
        "epochs",
        "rate",
    ),
}


@pytest.mark.parametrize("verb", VERBS)
def test_numbers_beyond_any_use_are_refused_by_every_command(command: Command, verb: str) -> None:
    for option in VERBS[verb]:
        wanted = {"inf": "be a finite number, not inf", "nan": "be a finite number, not nan"}
        if option not in ("max-cost", "price-in", "k1", "b", "minutes", "calibrated", "rate"):
            huge = ("9" * 20, "-" + "9" * 20)
            wanted = {number: f"have at most 15 digits, not be {number}" for number in huge}
        for number, problem in wanted.items():
            ran = command(*verb.split(), f"--{option}", number)
            refused(ran, re.escape(f"--{option} must {problem}"))


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("9" * 20, "have at most 15 digits, not be " + "9" * 20),
        ("-" + "9" * 20, "be a whole number or auto, not '-" + "9" * 20 + "'"),
    ],
)
def test_a_concurrency_beyond_any_use_is_refused(
    command: Command, number: str, problem: str
) -> None:
    refused(command("rerank", "--concurrency", number), f"--concurrency must {problem}")


def test_an_option_that_is_no_number_ends_with_code_2_too(
    command: Command, collection: Collection
) -> None:
    ran = command(*collection.rerank(k="ten"))
    assert (ran.code, ran.out) == (2, "")
    assert "Invalid value for '--k'" in ran.err
    assert collection.files() == INPUTS


def test_a_prompt_file_with_a_wrong_slot_is_named(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    prompt = collection.folder / "mine.toml"
    prompt.write_text('kind = "choice"\ntext = "{query} {first}"\noptions = ["A", "B"]\n')
    ran = command(*collection.rerank(model="fake", prompt=prompt))
    refused(ran, r"mine\.toml: text lacks the slot \{second\}")
    assert fake.batches == []
