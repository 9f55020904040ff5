"""What cannot work on a cluster is refused in one line, most of it without one."""

import socket
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from rankprompt.errors import InputError, ModelError
from rankprompt.journal.store import Journal
from rankprompt.pipeline.config import ModelConfig
from rankprompt.pipeline.ray import RayCluster, WorkerConfig, Workers
from rankprompt.pipeline.ray.cluster import connected
from rankprompt.pipeline.validation import validate
from tests.configs import change
from tests.pipeline.ray_runs import NO_RAY, TWO, Journals, run, settings


class FewGPUs:
    """A connection to a cluster with GPUs, as far as reserving asks it."""

    def __init__(self, gpus: float) -> None:
        self._gpus = gpus

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 8.0, "GPU": self._gpus}


def test_a_worker_reserves_the_gpus_that_its_model_computes_on() -> None:
    ray, auto = FewGPUs(8), partial(RayCluster, "auto")
    local, split = ModelConfig(name="some/id"), ModelConfig(name="vllm:some/id", tensor_parallel=4)
    for cluster, model, reserved in (
        (auto(), local, 1.0),
        (auto(), split, 4.0),
        (auto(gpus_per_worker=0.5), local, 0.5),
        (auto(gpus_per_worker=0.5), replace(split, tensor_parallel=1), 0.5),
        (auto(gpus_per_worker=2), local, 2.0),  # one that is too large for a card is spread
        (auto(gpus_per_worker=4), split, 4.0),
        (auto(gpus_per_worker=0), split, 0.0),
        (auto(sharing=2), local, 0.5),
        (auto(), replace(split, device="cpu"), 0.0),
    ):
        resources, device = cluster.reserve(ray, model)
        assert resources["num_gpus"] == reserved
        assert device == (model.device if reserved else "cpu")
    assert auto().reserve(FewGPUs(0), split)[0]["num_gpus"] == 0
    for gpus, model, said in (
        (2.0, split, "with `tensor_parallel` 4, vLLM computes on as many"),
        (8.0, split, "with `tensor_parallel` 4, vLLM computes on as many"),
        (2.0, ModelConfig(name="cross-encoder:some/id"), "a cross-encoder computes on one GPU"),
    ):
        with pytest.raises(InputError, match=f"^`gpus_per_worker` {gpus:g}: {said}"):
            auto(gpus_per_worker=gpus).reserve(ray, model)
    assert auto().group_size(0) < auto().group_size(1)
    assert auto(together=3).group_size(1) == 3


def test_without_ray_the_pip_line_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModelError, match=r"pip install 'rankprompt\[ray\]'$"):
        run(tmp_path)


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    for name in ("workers", "together", "cpus_per_worker"):
        with pytest.raises(InputError, match="must be at least 1, not 0"):
            RayCluster(**{name: 0})  # type: ignore[arg-type]
    for gpus in (-1.0, 1.5, float("nan")):
        with pytest.raises(InputError, match="a fraction or a whole number"):
            RayCluster(gpus_per_worker=gpus)
    with pytest.raises(InputError, match="for a Ray client"):
        RayCluster(address="ray://head:10001")
    with pytest.raises(InputError, match="in memory cannot be shared"):
        Workers(settings(tmp_path), Journal(None), TWO)
    with Journals(tmp_path) as journal:
        with pytest.raises(InputError, match="cannot keep a budget"):
            Workers(settings(tmp_path, max_prompts=1), journal, TWO)
        for name in ("openai:some", "oracle:some.trec"):
            more = {"base_url": "http://localhost:1"} if name.startswith("openai") else {}
            config = change(
                settings(tmp_path).job.config, model=name, prompt=None, prior=0.0, **more
            )
            with pytest.raises(InputError, match="hold local models"):
                Workers(WorkerConfig(validate(config)), journal, TWO)


def test_an_address_where_nobody_answers_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason=NO_RAY)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(InputError, match=f"^cannot use Ray at {address}: .*refused"):
        connected(RayCluster(address=address)).__enter__()
