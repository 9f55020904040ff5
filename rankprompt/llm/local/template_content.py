"""Tells which chat templates only write a prompt between texts of their own.

Rendering a template takes a program longer than reading the prompt's tokens. Where the template
does nothing with a turn's content but write it, one rendering shows what stands around it.
"""

from collections.abc import Iterator

from jinja2 import Environment, TemplateError, nodes

__all__ = ["only_writes_content"]

_CALLED = {"namespace", "raise_exception", "strftime_now"}
# Where a turn is not put out or handed on as a whole.
_LOOKED_AT = (nodes.Assign, nodes.For, nodes.Getattr, nodes.Getitem, nodes.If, nodes.Test)
_UNREAD = (nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.Include, nodes.Import)
_TESTS = {"defined", "iterable", "mapping", "none", "sequence", "string", "undefined"}


def only_writes_content(template: str) -> bool:
    """Whether a template writes each turn's content, trimmed or not, and does nothing else with it.

    A template that asks what the content is, cuts or searches it, hands it or a whole turn to
    anything, or keeps it in a variable is not of this kind; nor is one that cannot be read.

    Examples:
        >>> from rankprompt.llm.local.template_content import only_writes_content
        >>> only_writes_content("{% for m in messages %}<s>{{ m.content | trim }}{% endfor %}")
        True
        >>> only_writes_content("{% for m in messages %}{{ m.content[:9] }}{% endfor %}")
        False
    """
    try:
        tree = Environment(extensions=["jinja2.ext.loopcontrols"]).parse(template)
    except TemplateError:
        return False
    # Names of turns, or of what may hold a turn.
    turns = {"messages"}
    for loop in tree.find_all(nodes.For):
        turns |= {name.name for name in loop.target.find_all(nodes.Name)}
        turns |= {loop.target.name} if isinstance(loop.target, nodes.Name) else set()
    for kept in tree.find_all(nodes.Assign):
        if isinstance(kept.target, nodes.Name) and not isinstance(kept.node, nodes.Const):
            turns.add(kept.target.name)
    return all(_is_harmless(node, path, turns) for node, path in _walk(tree, ()))


def _walk(
    node: nodes.Node, path: tuple[nodes.Node, ...]
) -> Iterator[tuple[nodes.Node, tuple[nodes.Node, ...]]]:
    """All nodes, each with those that it is part of, the nearest first."""
    yield node, path
    for child in node.iter_child_nodes():
        yield from _walk(child, (node, *path))


def _is_harmless(node: nodes.Node, path: tuple[nodes.Node, ...], turns: set[str]) -> bool:
    if isinstance(node, nodes.Name):
        is_turn = node.ctx == "load" and node.name in turns
        return not is_turn or isinstance(path[0], _LOOKED_AT) or _counts(path[0])
    if isinstance(node, nodes.Filter):
        return (node.name == "trim" or _counts(node)) and not node.args
    if isinstance(node, nodes.Call):
        if isinstance(node.node, nodes.Getattr) and node.node.attr == "strip":
            return not node.args and not node.kwargs
        return isinstance(node.node, nodes.Name) and node.node.name in _CALLED
    if isinstance(node, nodes.Getattr):
        return node.attr != "content" or _is_written(path)
    if isinstance(node, nodes.Getitem):
        if isinstance(node.arg, nodes.Const):
            return node.arg.value != "content" or _is_written(path)
        return isinstance(node.arg, nodes.Slice)  # of the turns
    return not isinstance(node, _UNREAD)


def _counts(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Filter) and node.name == "length"


def _is_written(path: tuple[nodes.Node, ...]) -> bool:
    """Whether a content is put out, at most trimmed and joined with texts, or its type is asked."""
    if isinstance(path[0], nodes.Test):
        return path[0].name in _TESTS
    for node in path:
        if isinstance(node, nodes.Output):
            return True
        trims = isinstance(node, nodes.Filter) and node.name == "trim"
        strips = isinstance(node, nodes.Getattr) and node.attr == "strip"
        if not (trims or strips or isinstance(node, (nodes.Add, nodes.Concat, nodes.Call))):
            return False
    return False
