"""What a refused command leaves behind."""

import re

from tests.cli.conftest import Ran


def refused(ran: Ran, message: str) -> None:
    """It ended with code 2 and one line on stderr that holds the message."""
    assert (ran.code, ran.out) == (2, ""), ran
    assert ran.err.startswith("rankprompt: ")
    assert ran.err.count("\n") == 1, ran.err
    assert re.search(message, ran.err), ran.err
