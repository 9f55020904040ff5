"""``python -m rankprompt`` is ``rankprompt``."""

from rankprompt.cli import main

if __name__ == "__main__":
    main()
