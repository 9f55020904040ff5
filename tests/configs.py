"""Configurations by the names of their options."""

from typing import Any

from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_file import replace_options
from rankprompt.pipeline.config_option import iterate_options

__all__ = ["change", "configure"]


def configure(**options: Any) -> RerankConfig:
    """A configuration with these options, the others at their defaults."""
    return change(RerankConfig(), **options)


def change(config: RerankConfig, **options: Any) -> RerankConfig:
    """A configuration with these options replaced; a wrong name is an error.

    A text stands for a list of one.
    """
    defaults = {given.name: given.default for given in iterate_options(config)}
    assert options.keys() <= defaults.keys(), options
    listed = {
        name: (value,) if isinstance(defaults[name], tuple) and isinstance(value, str) else value
        for name, value in options.items()
    }
    return replace_options(config, listed)
