"""Keeps secrets out of what is saved of a configuration."""

from rankprompt.errors import InputError
from rankprompt.llm.openai.settings import hide_header, is_hidden
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.stage_notation import parse_stage

__all__ = ["refuse_secrets"]


def refuse_secrets(config: RerankConfig, where: str) -> None:
    """Checks that no header, of the model or of a stage, has its value written out.

    Args:
        config: the configuration.
        where: ends the message: where the value may not be, and why.

    Raises:
        InputError: a header has its value written out; the message does not show it.
    """
    headers = list(config.model.header)
    for stage in config.stage:
        headers += [value for name, value in parse_stage(stage).options if name == "header"]
    if any(is_hidden(hide_header(header)) for header in headers):
        raise InputError(f"`header`: write NAME:env:VARIABLE in {where}")
