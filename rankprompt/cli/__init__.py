"""The command line: one file a verb, results on stdout, progress and logs on stderr."""

import re
import sys
from typing import Any

from rankprompt.cli.console import set_up_logging
from rankprompt.cli.verbs import VERBS, program
from rankprompt.errors import RankpromptError, naming_extras

__all__ = ["main"]


def with_flags(message: str) -> str:
    """A message in which the fields that it names, such as `set_size`, are options' flags."""
    if "`" not in message:
        return message
    import typer

    from rankprompt.cli.app import app

    flags: dict[str, str] = {}
    pending: list[Any] = [typer.main.get_command(app)]
    while pending:
        command_or_group = pending.pop()
        pending += getattr(command_or_group, "commands", {}).values()
        names = [
            param.opts[0] for param in command_or_group.params if param.opts[0].startswith("--")
        ]
        flags |= {name[2:].replace("-", "_"): name for name in names}
    return re.sub(r"`(\w+)`", lambda match: flags.get(match[1], match[0]), message)


def main() -> None:
    """Runs the command line: exit code 2 for a user's error, told in one line."""
    set_up_logging(with_flags)
    verb = next(iter(sys.argv[1:]), "")
    try:
        with naming_extras():
            # Importing all verbs would take longer than some of them.
            program([verb] if verb in VERBS else VERBS)(prog_name="rankprompt")
    except RankpromptError as error:
        print(f"rankprompt: {with_flags(str(error))}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
