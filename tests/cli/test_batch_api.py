"""What the command line tells of batches."""

from tests.cli.conftest import Collection, Command
from tests.servers.batch_server import BatchServer
from tests.servers.runs import prefer
from tests.servers.speaker import Speaker


def test_batches_are_told_of_and_quiet_tells_nothing(
    command: Command, collection: Collection
) -> None:
    with BatchServer(Speaker(prefer)).serve() as server:
        words = collection.rerank(
            "--batch-api", model="openai:m", base_url=server.url, prompt="prp", method="allpair"
        )
        ran = command(*words)
        assert ran.code == 0, ran.err
        assert "batch-0: 13 requests are sent" in ran.err
        assert "batch-0: completed, 13 of 13 requests answered" in ran.err
        collection.output.unlink()
        for file in collection.folder.glob("*.journal*"):
            file.unlink()
        assert command(*words, "--quiet") == (0, "", "")
        assert len(server.batches) == 2


def test_a_run_that_waits_for_many_batches_is_warned_of(
    command: Command, collection: Collection
) -> None:
    with BatchServer(Speaker(prefer)).serve() as server:
        words = collection.rerank(
            "--batch-api", model="openai:m", base_url=server.url, prompt="prp", method="heapsort",
            depth=30,
        )  # fmt: skip
        ran = command(*words)
    assert ran.code == 0, ran.err
    assert "heapsort waits for about" in ran.err
    assert "one after another, each up to 24 hours" in ran.err


def test_a_plan_tells_the_price_and_the_waiting(command: Command, collection: Collection) -> None:
    ran = command(
        "plan", "--run", collection.run, "--queries", collection.queries, "--docs", collection.docs,
        "--model", "openai:m", "--base-url", "http://127.0.0.1:1/v1", "--price-in", 1,
        "--batch-api", "--no-calibrate",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "waits up to" in ran.out
    assert "1 day" in ran.out
    assert "costs are at 50% of the prices given" in ran.err
    few = ran.err.split("at most 5 batches, one after another: ")[1].split(";")[0].split(", ")
    assert {"allpair", "pointwise"} <= set(few)
