from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import InputError
from rankprompt.files.manifest import format_manifest
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_file import as_dict, replace_options
from rankprompt.pipeline.config_keywords import config_from, config_from_options, convert_value
from rankprompt.pipeline.config_option import iterate_options
from tests.configs import configure


def test_every_option_takes_its_own_default() -> None:
    defaults = {one.name: one.default for one in iterate_options(RerankConfig())}
    assert len(defaults) > 60
    assert config_from_options(configure(depth=3, stage=("a:b@3",)), defaults) == RerankConfig()


def test_values_are_converted_to_the_types_of_the_fields() -> None:
    config = config_from_options(
        configure(seed=7),
        {
            "run": "a.trec", "docs": Path("d.jsonl"), "max_cost": 2, "k": np.int64(5),
            "threshold": np.float32(0.5), "header": "a:b", "stage": ["x:y@9", "z:w@3"],
            "early_exit": True, "limit": None, "model": Path("folder"),
        },
    )  # fmt: skip
    assert config == configure(
        seed=7, run=Path("a.trec"), docs=Path("d.jsonl"), max_cost=2.0, k=5, threshold=0.5,
        header=("a:b",), stage=("x:y@9", "z:w@3"), early_exit=True,
        model="folder",
    )  # fmt: skip
    assert [type(value) for value in (config.budget.max_cost, config.ranker.k)] == [float, int]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dept": 3}, "unknown option `dept`; did you mean `depth`?"),
        (
            {"zzzzzz": 3},
            "unknown option `zzzzzz`; known: adapter, aggregate, attention, base_url, ",
        ),
        ({"depth": "deep"}, "`depth` must be a whole number, not 'deep'"),
        ({"depth": True}, "`depth` must be a whole number, not True"),
        ({"depth": 3.0}, "`depth` must be a whole number, not 3.0"),
        ({"depth": None}, "`depth` must be a whole number, not None"),
        ({"depth": 10**400}, "`depth` must have at most 15 digits"),
        ({"max_cost": 10**400}, "`max_cost` must have at most 15 digits"),
        ({"max_cost": float("nan")}, "`max_cost` must be a finite number, not nan"),
        ({"max_cost": "2"}, "`max_cost` must be a number, not '2'"),
        ({"early_exit": 1}, "`early_exit` must be True or False, not 1"),
        ({"model": 3}, "`model` must be a text, not 3"),
        ({"run": 3}, "`run` must be a path, not 3"),
        ({"run": b"a"}, "`run` must be a path, not bytes"),
        ({"run": ""}, "`run` is empty; leave it out"),
        ({"stage": [1]}, "`stage` must be a text, not 1"),
        ({"stage": None}, "`stage` must be a text, not None"),
        ({"header": {"a": "secret"}}, "`header` must be a text, not dict"),
    ],
)
def test_what_no_option_can_be_is_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as raised:
        config_from_options(RerankConfig(), options)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


KINDS: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(-(10**14), 10**14),
    float | None: st.none() | st.floats(allow_nan=False, allow_infinity=False),
    str | None: st.none() | st.text(),
    Path | None: st.none() | st.just(Path("a")),
    tuple[str, ...]: st.lists(st.text()).map(tuple),
    tuple[float, float]: st.tuples(*[st.floats(0, 1)] * 2),
}


@given(st.sampled_from(list(KINDS)).flatmap(lambda kind: st.tuples(st.just(kind), KINDS[kind])))
def test_a_value_of_the_type_is_left_as_it_is(given_value: tuple[Any, Any]) -> None:
    kind, value = given_value
    assert convert_value("x", value, kind) == value


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()))
def test_any_value_is_converted_or_an_input_error(value: object) -> None:
    for kind in KINDS:
        try:
            converted = convert_value("x", value, kind)
        except InputError:
            continue
        assert convert_value("x", converted, kind) == converted


def test_a_file_gives_what_is_left_out(tmp_path: Path) -> None:
    toml, earlier = tmp_path / "job.toml", tmp_path / "run.json"
    toml.write_text("[data]\ndepth = 20\n[ranker]\nk = 3\n")
    assert config_from(toml, {"depth": 9}) == configure(depth=9, k=3)
    assert config_from(str(toml), {}) == configure(depth=20, k=3)
    assert config_from(None, {"k": 3}) == configure(k=3)
    assert config_from(configure(depth=9), {"k": 3}) == configure(depth=9, k=3)
    run = configure(output=tmp_path / "run.trec", scores=tmp_path / "run.tsv", k=3)
    earlier.write_text(format_manifest({"config": as_dict(run), "inputs": {}}))
    assert config_from(earlier, {"k": 3}) == run
    # The table is the earlier run's, as the run is.
    other = config_from(earlier, {"output": "other.trec"})
    assert (other.output.run, other.output.scores) == (Path("other.trec"), None)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("none.toml", "cannot read none.toml: No such file"),
        ("none.json", "cannot read none.json: No such file"),
        ({"depth": 3}, "`config` must be a RerankConfig or the path of a file, not dict"),
    ],
)
def test_a_source_that_is_none_is_one_line(source: Any, said: str) -> None:
    with pytest.raises(InputError) as raised:
        config_from(source, {})
    assert said in str(raised.value)


def test_the_base_gives_what_is_left_out() -> None:
    base = replace_options(RerankConfig(), {"k": 3, "model": "openai:m"})
    assert config_from_options(base, {}) == base
    assert config_from_options(base, {"depth": 9}).model.name == "openai:m"
