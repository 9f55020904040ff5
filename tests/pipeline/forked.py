"""Commands in processes that are forked from one that has imported torch, which takes seconds."""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess

import torch
from transformers.models.llama import modeling_llama

from rankprompt.cli import main
from rankprompt.pipeline import execution

__all__ = ["start"]

_IMPORTED = (modeling_llama, execution)  # what a command would import as it goes

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


def start(words: Sequence[str]) -> ForkServerProcess:
    """Starts a command, whose stderr is dropped."""
    process = _FORKS.Process(target=_run, args=(list(words),))
    process.start()
    return process


def _run(words: list[str]) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    torch.set_num_threads(1)  # so that two processes do not compete for the cores
    sys.argv[:] = ["rankprompt", *words]
    main()
