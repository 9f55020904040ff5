"""The program with all of its verbs; ``rankprompt.cli.main`` imports only the one that is asked."""

from rankprompt.cli.verbs import program

__all__ = ["app"]

app = program()
