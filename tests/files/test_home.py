from pathlib import Path

import pytest

from rankprompt.files.home import expand


def test_a_home_directory_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert expand("~/models/a") == expand(Path("~/models/a")) == Path("/somewhere/models/a")


@pytest.mark.parametrize("name", ["~nobody-of-this-name/model", "a/~b", "plain", "org/model"])
def test_other_paths_stay_as_they_are(name: str) -> None:
    assert expand(name) == Path(name)
