import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import InputError
from rankprompt.files.manifest import format_manifest
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_file import (
    as_dict,
    config_from_dict,
    load_config,
    load_manifest,
    replace_options,
)
from rankprompt.pipeline.config_option import iterate_options
from tests.configs import change, configure

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "run": st.just(Path("some/run.trec")),
    "depth": st.integers(1, 10**6),
    "limit": st.none() | st.integers(1, 9),
    "skip_missing": st.booleans(),
    "model": st.sampled_from(["smollm2-135m", "oracle:qrels.trec", "模型"]),
    "method": st.none() | st.sampled_from(["heapsort", "heapsort,allpair@20"]),
    "prior": st.none() | st.floats(0, 9),
    "cascade": st.none() | st.just("bm25"),
    "noise": st.floats(0, 1),
    "base_url": st.sampled_from([(), ("http://a/v1",), ("http://a/v1", "http://b/v1")]),
    "concurrency": st.integers(1, 99) | st.just("auto"),
    "timeout": st.none() | st.floats(1, 9),
    "max_cost": st.none() | st.floats(0, 9),
    "ray": st.none() | st.just("local"),
    "output": st.just(Path("out.trec")),
    "stage": st.sampled_from([(), ("pointwise:a@20", "heapsort:openai:b@9 prompt='my file.toml'")]),
    "seed": st.integers(0, 2**40),
}


@given(st.fixed_dictionaries({}, optional=VALUES))
def test_a_configuration_comes_back_from_json(options: dict[str, Any]) -> None:
    config = configure(**options)
    again = config_from_dict(json.loads(json.dumps(as_dict(config))), "x")
    assert again == config


@pytest.mark.parametrize(
    ("written", "read"),
    [("http://a/v1", ("http://a/v1",)), (None, ()), (["http://a", "http://b"], ("http://a", "http://b"))],
)  # fmt: skip
def test_a_single_base_url_is_a_list_of_one(written: object, read: tuple[str, ...]) -> None:
    """As earlier versions wrote it into manifests."""
    config = config_from_dict({"model": {"base_url": written}}, "x")
    assert config.model.base_url == read


def test_an_empty_path_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('[data]\nqueries = ""\n')
    with pytest.raises(InputError, match=r"c\.toml: data\.queries is empty"):
        load_config(file)


def test_every_option_has_a_name_of_its_own_and_a_description() -> None:
    given_options = list(iterate_options(RerankConfig()))
    names = [one.name for one in given_options]
    assert len(names) == len(set(names)) == 75
    assert all(one.about.help.endswith(".") for one in given_options)
    assert all(one.value == one.default for one in given_options)


def test_options_are_replaced_by_name_and_others_left_alone() -> None:
    config = replace_options(RerankConfig(), {"model": "a", "cascade": "bm25", "seed": 3, "no": 1})
    assert (config.model.name, config.cascade.student, config.seed) == ("a", "bm25", 3)
    assert asdict(replace_options(config, {})) == asdict(config)


def test_a_toml_file_has_a_table_for_each_group(tmp_path: Path) -> None:
    path = tmp_path / "job.toml"
    path.write_text(
        'seed = 4\n[data]\nrun = "bm25.trec"\ndepth = 20\n[model]\nname = "openai:gpt"\n'
        '[ranker]\nmethod = "allpair"\n[budget]\nmax_cost = 2\n'
    )
    assert load_config(path) == configure(
        seed=4, run=Path("bm25.trec"), depth=20, model="openai:gpt", method="allpair", max_cost=2.0
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[data]\ndeph = 3\n", r"job\.toml: unknown field data\.deph; did you mean data\.depth\?"),
        ("[modell]\n", r"job\.toml: unknown field modell; did you mean model\?"),
        ("zzz = 1\n", r"job\.toml: unknown field zzz; known: data, model, "),
        ("data = 1\n", r"job\.toml: data must be a table of fields"),
        ('[data]\ndepth = "deep"\n', r"job\.toml: data\.depth: Input should be a valid integer"),
        ("[data]\nrun = 3\n", r"job\.toml: data\.run: Input should be a valid string"),
        ("[data\n", r"job\.toml: not a TOML file: "),
        ("\x00", r"job\.toml: not a TOML file: "),
        ("a = " + "[" * 100_000, r"job\.toml: not a TOML file: brackets are nested too deep"),
        ("seed = " + "9" * 5000, r"job\.toml: not a TOML file: "),
        ("seed = 99999999999999999999", r"job\.toml: the number 9+\.\.\. has more than 64 bits"),
        ("[data]\ndepth = true\n", r"job\.toml: data\.depth: Input should be a valid integer"),
        ("[data]\ndepth = 3.0\n", r"job\.toml: data\.depth: Input should be a valid integer"),
        ('[budget]\nmax_cost = "2"\n', r"job\.toml: budget\.max_cost: Input should be a valid"),
        ("seed = 2026-11-30\n", r"job\.toml: Object of type date is not JSON"),
    ],
)
def test_what_cannot_be_read_is_reported_in_one_line(
    tmp_path: Path, text: str, problem: str
) -> None:
    path = tmp_path / "job.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=problem) as raised:
        load_config(path)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_reported(tmp_path: Path) -> None:
    for load in (load_config, load_manifest):
        with pytest.raises(InputError, match=r"cannot read .*none: No such file"):
            load(tmp_path / "none")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not a manifest"),
        ("[" * 100_000, "not a manifest"),
        ("[]", "not a manifest of rankprompt"),
        ('{"form": "rankprompt manifest 9"}', "not a manifest of rankprompt"),
        ('{"form": "rankprompt manifest 2"}', "another command than rerank"),
        ('{"form": "rankprompt manifest 1", "settings": {"runs": []}}', "another command"),
        ('{"form": "rankprompt manifest 2", "config": {"data": {"depth": []}}}', "data.depth"),
        ('{"form": "rankprompt manifest 2", "config": {}, "config": {}}', "'config' occurs twice"),
        ('{"form": "rankprompt manifest 2", "config": {}, "inputs": {"run": 3}}', "inputs.run"),
        (
            '{"form": "rankprompt manifest 2", "config": {}, "inputs": {"d": [{"path": 3}]}}',
            "inputs.d",
        ),
    ],
)
def test_what_is_no_manifest_of_a_reranking_is_refused(
    tmp_path: Path, content: str, problem: str
) -> None:
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(InputError, match=problem):
        load_manifest(path)


def test_a_manifest_gives_its_configuration_and_warns_of_inputs_that_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run, docs = tmp_path / "run.trec", tmp_path / "docs.tsv"
    run.write_text("as it was")
    config = change(RerankConfig(), run=run, docs=docs, k=3)
    inputs = {
        "run": {"path": str(run), "bytes": 9, "blake2b": "of another content"},
        "docs": {"path": str(docs), "bytes": 9, "blake2b": "gone"},
        "dataset": [{"path": "x" * 5000, "bytes": 9, "blake2b": "beyond any file's name"}],
    }
    path = tmp_path / "out.json"
    path.write_text(format_manifest({"config": as_dict(config), "inputs": inputs}))
    assert load_manifest(path) == config
    assert [record.getMessage() for record in caplog.records] == [
        f"{run} has changed since the manifest was written"
    ]


def test_a_manifest_of_a_served_model_may_have_what_once_played_no_part(tmp_path: Path) -> None:
    served = change(RerankConfig(), model="rerank:m", base_url="http://localhost:1/v1")
    path = tmp_path / "out.json"
    path.write_text(
        format_manifest({"config": as_dict(change(served, dtype="float16", threads=1))})
    )
    assert load_manifest(path) == served


def test_a_manifest_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    config = change(RerankConfig(), k=7, run=Path("a.trec"))
    text = format_manifest({"config": as_dict(config), "inputs": {}})
    path.write_text(text, encoding="utf-8-sig")
    assert load_manifest(path) == config


def test_a_configuration_file_has_a_list_of_stages(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(
        'stage = ["pointwise:ms-marco-minilm-l12@100", "heapsort:openai:gpt@20 prompt=prp"]\n'
    )
    assert load_config(tmp_path / "job.toml").stage == (
        "pointwise:ms-marco-minilm-l12@100", "heapsort:openai:gpt@20 prompt=prp",
    )  # fmt: skip
