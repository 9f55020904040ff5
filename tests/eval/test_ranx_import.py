"""Where ranx's compiled code goes, when numba was there before."""

import os
import subprocess
import sys
from pathlib import Path


def test_compiled_code_goes_to_our_cache_even_after_bm25s(tmp_path: Path) -> None:
    script = (
        "import bm25s, numba; from rankprompt.eval.ranx_import import import_ranx; import_ranx()"
    )
    environment = {name: value for name, value in os.environ.items() if "NUMBA" not in name}
    subprocess.run(
        [sys.executable, "-c", script],
        env={**environment, "RANKPROMPT_CACHE": str(tmp_path)},
        check=True,
    )
    assert any(path.name.startswith("metrics_") for path in (tmp_path / "numba").iterdir())
