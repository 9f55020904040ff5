"""Configurations from files, and runs made again from their manifests."""

import json

from typer.testing import CliRunner

from rankprompt.cli.app import app
from tests.cli.conftest import BEST, Collection, Command
from tests.fakes import FakeModel


def test_a_configuration_file_gives_what_options_do_and_options_win(
    command: Command, collection: Collection
) -> None:
    path = collection.folder / "job.toml"
    path.write_text(
        f'[data]\nrun = "{collection.run}"\nqueries = "{collection.queries}"\n'
        f'docs = "{collection.docs}"\n[output]\nrun = "{collection.output}"\n'
        f'[model]\nname = "oracle:{collection.qrels}"\n[ranker]\nmethod = "allpair"\nk = 7\n'
    )
    ran = command("rerank", "--config", path, "--k", 3)
    assert ran.code == 0, ran.err
    assert collection.ranking() == BEST
    made = json.loads(collection.output.with_suffix(".json").read_text())
    assert (made["config"]["ranker"]["method"], made["config"]["ranker"]["k"]) == ("allpair", 3)


def test_a_run_is_made_again_from_its_manifest(command: Command, collection: Collection) -> None:
    command(*collection.rerank(method="heapsort", noise=0.3, seed=5, input_order="random"))
    first, manifest = collection.output.read_bytes(), collection.output.with_suffix(".json")
    again = collection.folder / "again.trec"
    ran = command("rerank", "--from", manifest, "--output", again)
    assert ran.code == 0, ran.err
    assert again.read_bytes() == first
    collection.output.unlink()
    assert command("rerank", "--from", manifest).code == 0
    assert collection.output.read_bytes() == first


def test_a_run_into_another_file_leaves_the_earlier_table_of_scores(
    command: Command, collection: Collection
) -> None:
    table, manifest = collection.folder / "scores.tsv", collection.output.with_suffix(".json")
    command(*collection.rerank(method="allpair", scores=table))
    before, again = table.read_bytes(), collection.folder / "again.trec"
    ran = command("rerank", "--from", manifest, "--output", again, "--depth", 2)
    assert ran.code == 0, ran.err
    assert table.read_bytes() == before
    assert json.loads(again.with_suffix(".json").read_text())["config"]["output"]["scores"] is None
    # Given again, or with the run itself, the table is written.
    other = collection.folder / "other.tsv"
    assert command("rerank", "--from", manifest, "--output", again, "--scores", other).code == 0
    assert other.read_bytes() == before
    table.unlink()
    assert command("rerank", "--from", manifest, "--output", collection.output).code == 0
    assert table.read_bytes() == before


def test_a_models_run_is_made_again_from_its_journal(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    command(*collection.rerank(model="fake", method="setwise-heapsort", seed=2))
    first, asked = collection.output.read_bytes(), len(fake.prompts)
    assert asked
    ran = command("rerank", "--from", collection.output.with_suffix(".json"))
    assert ran.code == 0, ran.err
    assert collection.output.read_bytes() == first
    assert len(fake.prompts) == asked


def test_a_cascades_run_needs_no_more_than_its_manifest(
    command: Command, collection: Collection
) -> None:
    command(*collection.rerank(cascade="bm25", window=3, overlap=1, keep=1))
    first = collection.output.read_bytes()
    ran = command("rerank", "--from", collection.output.with_suffix(".json"))
    assert ran.code == 0, ran.err
    assert collection.output.read_bytes() == first


def test_one_file_at_a_time(command: Command, collection: Collection) -> None:
    ran = command("rerank", "--from", collection.run, "--config", collection.run)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "rankprompt: give one of --config and --from\n"
    ran = command("rerank", "--from", collection.run)
    assert ran.err.startswith(f"rankprompt: {collection.run}: not a manifest")
    ran = command("plan", "--config", collection.folder / "none.toml")
    assert "cannot read" in ran.err
    assert "none.toml: No such file" in ran.err


def test_methods_and_prompts_complete_in_the_shell() -> None:
    for words, expected in (
        ("rankprompt rerank --method setw", "setwise-heapsort"),
        ("rankprompt rerank --prompt query", "query-likelihood"),
        ("rankprompt plan --order si", "single"),
    ):
        environment = {
            "_RANKPROMPT_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        }
        ran = CliRunner().invoke(app, [], prog_name="rankprompt", env=environment)
        assert expected in ran.output.splitlines()
