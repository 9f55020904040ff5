import json
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

import pytest

from rankprompt.errors import InputError
from rankprompt.files.manifest import (
    beside,
    describe_file,
    format_manifest,
    manifest_path,
    versions,
)


@dataclass(frozen=True)
class Settings:
    run: Path
    k: int = 10


def test_the_manifest_lies_beside_the_run(tmp_path: Path) -> None:
    assert manifest_path(tmp_path / "out.trec") == tmp_path / "out.json"
    assert manifest_path(tmp_path / "out") == tmp_path / "out.json"
    assert manifest_path(tmp_path / "v1.2.trec") == tmp_path / "v1.2.json"


def test_a_run_that_ends_in_json_has_no_place_for_its_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"another ending than \.json"):
        manifest_path(tmp_path / "out.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"text"', b"\xff", b'{"form": "x"}'])
def test_a_file_that_is_no_manifest_is_refused_and_left(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "out.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no manifest"):
        manifest_path(tmp_path / "out.trec")
    assert path.read_bytes() == content


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.json").mkdir()
    with pytest.raises(InputError, match="no manifest"):
        manifest_path(tmp_path / "out.trec")


def test_runs_that_differ_in_what_is_no_ending_have_manifests_of_their_own() -> None:
    assert beside(Path("a/dl19.trec"), ".json") == Path("a/dl19.json")
    assert beside(Path("a/dl19.k1"), ".json") == Path("a/dl19.k1.json")
    assert beside(Path("a/dl19.k2.run"), ".journal") == Path("a/dl19.k2.journal")
    assert beside(Path("a/dl19"), ".json") == Path("a/dl19.json")


def test_a_manifest_is_known_again(tmp_path: Path) -> None:
    path = manifest_path(tmp_path / "out.trec")
    text = format_manifest(
        {"settings": asdict(Settings(Path("a.trec"))), "queries": 2, "name": "naïve"}
    )
    path.write_text(text, "utf-8")
    returned = json.loads(text)
    assert "naïve" in text
    assert text.endswith("}\n")
    assert returned["settings"] == {"run": "a.trec", "k": 10}
    assert (returned["queries"], returned["name"]) == (2, "naïve")
    age = datetime.now(UTC) - datetime.fromisoformat(returned["created"])
    assert timedelta(0) <= age < timedelta(minutes=1)
    assert manifest_path(tmp_path / "out.trec") == path  # ours: it may be replaced


def test_a_file_is_described_by_its_content(tmp_path: Path) -> None:
    path, content = tmp_path / "big.bin", bytes(range(256)) * 10_000  # more than one block
    path.write_bytes(content)
    assert describe_file(path) == {
        "path": str(path),
        "bytes": 2_560_000,
        "blake2b": blake2b(content, digest_size=16).hexdigest(),
    }
    path.write_bytes(content[:-1] + b"x")
    assert describe_file(path)["blake2b"] != blake2b(content, digest_size=16).hexdigest()


def test_versions_name_python_and_what_is_installed() -> None:
    assert versions(["numpy", "no-such-package-at-all"]) == {
        "python": platform.python_version(),
        "numpy": version("numpy"),
    }
