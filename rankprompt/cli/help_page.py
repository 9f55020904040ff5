"""What all commands share: help pages in plain text, and the bounds of numbers.

A help page has the options under the headings of their panels, and an example at the end.
"""

from typing import Any

from typer.core import TyperCommand

from rankprompt.pipeline.config_option import check_number

__all__ = ["PlainCommand", "example"]

_OTHER = "Other options"


class PlainCommand(TyperCommand):
    """A command whose help page needs no rich text, so it starts fast and reads anywhere.

    Raises:
        InputError: a number is too large, or not finite.
    """

    def invoke(self, ctx: Any) -> Any:
        """Refuses numbers that no option can mean, and runs the command."""
        for name, value in ctx.params.items():
            for number in value if isinstance(value, list | tuple) else [value]:
                check_number(name, number)
        return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the arguments, and then the options of each panel."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                is_argument = param.param_type_name == "argument"
                panel = getattr(param, "rich_help_panel", None) or _OTHER
                panels.setdefault("Arguments" if is_argument else panel, []).append(record)
        order = sorted(panels, key=lambda name: (name != "Arguments", name == _OTHER))
        for name in order:
            few = name == _OTHER and len(panels) - ("Arguments" in panels) == 1
            with formatter.section("Options" if few else name):
                formatter.write_dl(panels[name], col_max=26)


def example(*lines: str) -> dict[str, Any]:
    """The settings of a command whose help page ends with an example: lines for the shell."""
    text = "\n".join(["\b", "Example:", *(f"  {line}" for line in lines)])
    return {"cls": PlainCommand, "epilog": text}
