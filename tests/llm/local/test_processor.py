import json
import logging
import os
import platform
from pathlib import Path

import pytest
import torch

from rankprompt.llm.local import machine, processor
from rankprompt.llm.local.loading import resolve_dtype
from rankprompt.llm.local.processor import quicker_format, use_threads


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKPROMPT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "machines.json"


def ratio(monkeypatch: pytest.MonkeyPatch, *found: float) -> None:
    left = iter(found)
    monkeypatch.setattr(processor, "measure_ratio", lambda: next(left))


def test_the_choice_is_measured_once_and_then_kept(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ratio(monkeypatch, 4.0)
    with caplog.at_level(logging.DEBUG):
        assert quicker_format() == torch.bfloat16
        assert quicker_format() == torch.bfloat16
    assert "4.0 times as fast in bfloat16" in caplog.text
    assert list(json.loads(cache.read_text()).values()) == ["bfloat16"]
    assert resolve_dtype("auto", torch.device("cpu")) == torch.bfloat16
    assert resolve_dtype("float32", torch.device("cpu")) == torch.float32


@pytest.mark.parametrize(
    ("found", "chosen"), [(0.4, torch.float32), (1.1, torch.float32), (1.5, torch.bfloat16)]
)
def test_only_a_clear_gain_pays_for_the_rounding(
    found: float, chosen: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    ratio(monkeypatch, found)
    assert quicker_format() == chosen


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"x": 1}'])
def test_a_damaged_note_is_made_anew_and_others_are_kept(
    content: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.parent.mkdir()
    cache.write_text(content)
    ratio(monkeypatch, 0.5)
    assert quicker_format() == torch.float32
    known = json.loads(cache.read_text())
    assert list(known.values()) == ["float32"]
    cache.write_text(json.dumps({**known, "another machine": "bfloat16"}))
    assert quicker_format() == torch.float32
    assert "another machine" in json.loads(cache.read_text())


def test_a_cache_that_cannot_be_written_is_no_error(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.parent.write_text("a file in the folder's place")
    ratio(monkeypatch, 2.0, 2.0)
    assert quicker_format() == torch.bfloat16
    assert quicker_format() == torch.bfloat16


def test_the_real_ratio_is_measured_and_leaves_the_threads_alone() -> None:
    before = torch.get_num_threads()
    assert 0.01 < processor.measure_ratio() < 1000
    assert torch.get_num_threads() == before


def test_threads_are_the_ones_asked_for_or_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = torch.get_num_threads()
    try:
        assert use_threads(1) == torch.get_num_threads() == 1
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        assert use_threads(None) == 1
        monkeypatch.delenv("OMP_NUM_THREADS")
        torch.set_num_threads(max(2, os.cpu_count() or 1))
        monkeypatch.setattr(processor, "available_cores", lambda: 1)
        assert use_threads(None) == 1
    finally:
        torch.set_num_threads(before)


def test_a_containers_quota_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    quota = {"text": "150000 100000"}
    monkeypatch.setattr(Path, "read_text", lambda *_: quota["text"])
    assert machine.available_cores() == 2
    quota["text"] = "max 100000"
    assert machine.available_cores() == 16


def test_processors_of_one_name_are_told_apart_by_what_they_can_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def named(content: str) -> str:
        monkeypatch.setattr(Path, "read_text", lambda *_: content)
        return machine.processor_name()

    info = (
        "processor\t: {}\nmodel name\t: AMD EPYC\ncpu MHz\t\t: 2{}00.1\nflags\t\t: fpu {}\nodd\n\n"
    )
    first = named(info.format(0, 0, "avx2 avx512_bf16") + info.format(1, 0, "avx2 avx512_bf16"))
    assert first.startswith("AMD EPYC ")
    assert named(info.format(1, 7, "avx512_bf16 avx2")) == first
    assert named(info.format(0, 0, "avx2")) != first
    assert named("no such lines") == (platform.processor() or platform.machine())
