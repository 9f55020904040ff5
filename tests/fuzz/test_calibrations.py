"""Files of a calibration: read as a map that rises from 0 to 1, or refused."""

import math
from pathlib import Path

import pytest

from rankprompt.eval.calibration import METHODS, fit_calibration, read_calibration
from tests.eval.test_calibration import drawn
from tests.fuzz.conftest import Mutate, fuzz
from tests.mutations import mutate, mutate_json


@pytest.mark.parametrize("how", [mutate, mutate_json])
@pytest.mark.parametrize("method", METHODS)
def test_a_calibration(method: str, how: Mutate, quick: Path) -> None:
    path = quick / "calibration.json"
    fit_calibration(drawn(60), method=method).write(path)

    def read() -> None:
        found = read_calibration(path)([-math.inf, -3.0, 0.0, 3.0, math.inf])
        assert found == sorted(found)
        assert 0 <= found[0] <= found[-1] <= 1

    assert fuzz(path, read, 300, how) > 60
