"""The version of rankprompt."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
