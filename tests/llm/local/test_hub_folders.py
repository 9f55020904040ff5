"""Models of a hub that cannot be reached: its local cache, or one line within seconds."""

import time
from pathlib import Path
from typing import Any

import pytest
import torch

from rankprompt.errors import ModelError
from rankprompt.llm import load_model
from rankprompt.llm.local.loading import load_pair
from rankprompt.llm.local.preparation import fingerprint
from rankprompt.llm.tokenizer_offsets import token_counter
from tests.llm import tiny


@pytest.fixture(params=["a closed port", "offline"])
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """The local cache of a hub at whose address nothing listens, or that is not to be asked."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", request.param == "offline")
    return tmp_path / "hub"


@pytest.mark.usefixtures("hub")
def test_an_absent_language_model_is_one_line_that_names_the_prefix(
    caplog: pytest.LogCaptureFixture,
) -> None:
    start = time.monotonic()
    with pytest.raises(ModelError, match="cannot be reached; its local cache lacks") as caught:
        load_model("org/absent")
    assert time.monotonic() - start < 20
    assert str(caught.value).endswith("written cross-encoder:org/absent")
    assert "\n" not in str(caught.value)
    assert "Retry" not in caplog.text


@pytest.mark.usefixtures("hub")
def test_an_absent_tokenizer_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ModelError, match="cannot be reached; its local cache lacks"):
        token_counter("org/absent")
    assert "Retry" not in caplog.text


def test_the_local_cache_serves_a_language_model(
    hub: Path, caplog: pytest.LogCaptureFixture
) -> None:
    commit = "a" * 40
    base = hub / "models--org--tiny"
    folder = tiny.save(base / "snapshots" / commit, tiny.llama())
    (base / "refs").mkdir(parents=True)
    (base / "refs" / "main").write_text(commit)
    how: Any = {"dtype": torch.float32, "device": torch.device("cpu")}
    found, expected = (
        fingerprint(*load_pair(name, **how), {}) for name in ("org/tiny", str(folder))
    )
    assert token_counter("org/tiny")(["the mill"]) == token_counter(str(folder))(["the mill"])
    assert found == expected
    assert "Retry" not in caplog.text
