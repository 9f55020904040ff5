"""Where the workers run, and the connection to Ray, which is imported only here and only then."""

import math
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rankprompt.errors import PIP_LINES, InputError, ModelError
from rankprompt.llm.registry import is_reranker
from rankprompt.pipeline.config import ModelConfig
from rankprompt.pipeline.engine_fields import is_vllm

__all__ = ["RayCluster", "connected", "last_line", "waiting"]

_STORE = 200_000_000  # bytes of Ray's store, through which large groups of candidates pass
# A round of a sort asks a pair or two of each query. On a CPU, eight queries fill a few batches of
# 1,024 tokens; a GPU takes many times as many at once.
_TOGETHER, _TOGETHER_ON_GPU = 8, 64


@dataclass(frozen=True)
class RayCluster:
    """Where the workers run.

    Attributes:
        address: "local" for a cluster on this machine, which ends with the run; "auto" or HOST:PORT
            for a running one that this machine belongs to. Where this process is connected to Ray
            already, that connection is used and left as it is.
        workers: how many, at the most; the run begins with the first that is ready.
        cpus_per_worker: cores, and torch's threads; None for a share of this machine's (on a
            running cluster, 1).
        gpus_per_worker: reserved for each worker, may be a fraction; None for as many as its model
            computes on, where the cluster has any. A worker with 0 runs on the CPU unless the
            settings name a device.
        together: queries that a worker reranks at a time, at the most: their rounds are asked
            together, which keeps a model busy though a sort asks one pair after the other. Towards
            the end of the candidates fewer, so that no worker waits long for the last. None for
            what suits the device.
        sharing: as many workers as this share the cores, and the GPU, of one: those of the stages
            of a reranking, which take turns.
    """

    address: str = "local"
    workers: int = 2
    cpus_per_worker: int | None = None
    gpus_per_worker: float | None = None
    together: int | None = None
    sharing: int = 1

    def __post_init__(self) -> None:
        for name in ("workers", "cpus_per_worker", "together"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name.replace('_', ' ')} must be at least 1, not {value}")
        gpus = self.gpus_per_worker or 0
        if not 0 <= gpus < math.inf or (gpus > 1 and gpus % 1):
            raise InputError(f"GPUs per worker are 0, a fraction or a whole number, not {gpus}")
        if self.address.startswith("ray://"):
            raise InputError(
                f"{self.address} is for a Ray client; start on a machine of the cluster with auto "
                "or HOST:PORT instead, since the journal lies where rankprompt is started"
            )

    @property
    def cores(self) -> int:
        """The cores of a worker."""
        if self.cpus_per_worker is not None or self.address != "local":
            return self.cpus_per_worker or 1
        return max(1, (os.cpu_count() or 1) // self.workers)

    def reserve(self, ray: Any, model: ModelConfig) -> tuple[dict[str, float], str]:
        """The resources of each worker, and the device of its model.

        Ray places a worker on one machine that has all of them, as a placement group of one bundle
        would be.

        Args:
            ray: the package, connected to the cluster.
            model: the model of each worker.

        Raises:
            InputError: this machine has too few GPUs, or a worker would reserve more or fewer than
                its model computes on.
        """
        available = ray.cluster_resources().get("GPU", 0)
        gpus, device = self.gpus_per_worker, model.device
        if gpus is None:
            gpus = model.tensor_parallel * float(available >= 1 and device != "cpu")
        elif is_vllm(model.name) and math.ceil(gpus) not in (0, model.tensor_parallel):
            raise InputError(
                f"`gpus_per_worker` {gpus:g}: with `tensor_parallel` {model.tensor_parallel}, vLLM "
                "computes on as many GPUs; leave `gpus_per_worker` out"
            )
        elif gpus > 1 and is_reranker(model.name):
            raise InputError(f"`gpus_per_worker` {gpus:g}: a cross-encoder computes on one GPU")
        if self.address == "local" and gpus * self.workers > available:
            needed = f"{self.workers} workers with {gpus:g} GPUs each need more"
            hint = "fewer `workers`, or another `gpus_per_worker`"
            raise InputError(f"{needed} than the {available:g} of this machine: {hint}")
        if device == "auto" and not gpus:
            # A GPU that is not reserved for it belongs to others.
            device = "cpu"
        if gpus <= 1:
            gpus /= self.sharing
        return {"num_cpus": self.cores / self.sharing, "num_gpus": gpus}, device

    def group_size(self, gpus: float) -> int:
        """The queries that a worker with so many GPUs reranks at a time, at the most."""
        return self.together or (_TOGETHER_ON_GPU if gpus else _TOGETHER)


def waiting(ray: Any, resources: Mapping[str, float]) -> str:
    """What to say while no worker is ready, given the resources of each."""
    has = ray.cluster_resources()
    wants = "each wants {num_cpus:g} CPUs and {num_gpus:g} GPUs".format(**resources)
    return (
        f"no worker is ready yet; {wants}, the cluster has {has.get('CPU', 0):g} and "
        f"{has.get('GPU', 0):g}"
    )


@contextmanager
def connected(cluster: RayCluster) -> Iterator[Any]:
    """Connects this process to Ray, unless it is, and ends what it began.

    Returns:
        The package ``ray``, as a context.

    Raises:
        ModelError: Ray is not installed; gives the pip line.
        InputError: there is no cluster at the address, or it cannot be used.
    """
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise ModelError(f"workers on a cluster need Ray; run: {PIP_LINES['ray']}") from error
    if ray.is_initialized():
        yield ray
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    own: dict[str, Any] = {}
    if cluster.address == "local":
        own = {
            "num_cpus": cluster.workers * cluster.cores,
            "include_dashboard": False,
            "object_store_memory": _STORE,
        }
    try:
        _knock(cluster.address)
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR", **own)
    except Exception as error:  # Ray raises bare ones, as where a node takes too long to start
        hint = "" if own else "; for a cluster with tokens, set RAY_AUTH_MODE=token"
        ray.shutdown()  # what it had started
        said = f"{last_line(error)}{hint}"
        raise InputError(f"cannot use Ray at {cluster.address}: {said}") from error
    # That a worker died, Ray prints on stdout, which is for results; there is no setting for it.
    printing: Any = import_module("ray._private.worker")
    printing._worker_logs_enabled = False
    try:
        yield ray
    finally:
        ray.shutdown()
        printing._worker_logs_enabled = True


def _knock(address: str) -> None:
    """Finds out in seconds that nobody is there; Ray takes minutes and prints what it tries."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def last_line(error: BaseException) -> str:
    """The end of an error's message, where Ray puts the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:500] if lines else type(error).__name__
