"""Workers on other nodes than the driver's: they need not reach the file of the journal."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.pipeline.ray import RayCluster
from tests.pipeline.ray_runs import (
    NO_RAY,
    LoggingModel,
    alone,
    build_candidates,
    run,
    same_run,
    settings,
)


@pytest.fixture
def nodes() -> Iterator[set[str]]:
    """A cluster of the driver's node, which has no cores, and two nodes with a core each.

    Each node has a folder of its own for its files, as separate machines have.
    """
    ray: Any = pytest.importorskip("ray", reason=NO_RAY)
    utils: Any = pytest.importorskip("ray.cluster_utils", reason=NO_RAY)
    size = {"object_store_memory": 80_000_000, "include_dashboard": False}
    with (
        pytest.MonkeyPatch.context() as patch,
        # The paths of sockets are short, and pytest's are not.
        TemporaryDirectory(prefix="ray-") as folder,
    ):
        patch.setenv("OMP_NUM_THREADS", "1")
        places = iter(str(Path(folder) / name) for name in "abc")
        head = {"num_cpus": 0, "temp_dir": next(places), **size}
        cluster = utils.Cluster(initialize_head=True, head_node_args=head)
        try:
            workers = {
                cluster.add_node(num_cpus=1, temp_dir=place, **size).node_id for place in places
            }
            ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
            yield workers
        finally:
            ray.shutdown()
            cluster.shutdown()


def test_workers_on_other_nodes_leave_the_journal_to_the_driver(
    tmp_path: Path, nodes: set[str]
) -> None:
    config = settings(tmp_path)
    with closing(Journal(tmp_path / "near.journal")) as journal:
        cached = CachedModel(LoggingModel(config.job.model, device="cpu"), journal)
        judge, ranked = alone(build_candidates(), cached, config.job)
    (tmp_path / "batches.jsonl").unlink()
    cluster = RayCluster("auto", workers=2, cpus_per_worker=1, together=2)
    far = run(tmp_path, load="far_model", cluster=cluster)
    same_run(far, (judge, ranked, tmp_path / "near.journal"), tmp_path)
    assert {one.name.removeprefix("node-") for one in tmp_path.glob("node-*")} == nodes
