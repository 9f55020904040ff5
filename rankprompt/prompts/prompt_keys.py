"""The keys of a prompt file: each is read and checked; a ValueError says what is wrong."""

from collections.abc import Mapping

from rankprompt.errors import InputError
from rankprompt.prompts.template import Template, parse_template

__all__ = [
    "EMPTY",
    "KEYS",
    "SLOTS",
    "fill_instruction",
    "read_chat",
    "read_decide",
    "read_grades",
    "read_labelled_passages",
    "read_max_tokens",
    "read_options",
    "read_prior",
    "read_templates",
    "read_text",
]

SLOTS = {
    "choice": {"query", "first", "second"},
    "contrast": {"first", "second", "label"},
    "likelihood": {"passage"},
    "grades": {"query", "passage"},
    "selection": {"query", "passages"},
    "listing": {"query", "passages"},
}
"""By kind: the slots that ``text`` must show."""
# The kinds that show several passages, each under a label.
_LABELLED = ("selection", "listing")
KEYS = {
    "kind", "text", "target", "options", "grades", "passage", "answer", "labels", "chat",
    "max_tokens", "prior", "description", "source", "instruction", "decide",
}  # fmt: skip
"""All keys."""
EMPTY = Template(("",))
"""The template of a key that is absent."""


def read_text(content: Mapping[str, object], key: str, default: str = "") -> str:
    """A text; ``default`` where the key is absent."""
    value = content.get(key, default)
    if not isinstance(value, str):
        raise ValueError(f"{key} must be a text")
    return value


def read_templates(kind: str, content: Mapping[str, object]) -> tuple[Template, Template]:
    """The templates ``text`` and ``target``."""
    text = parse_template(read_text(content, "text"))
    target = parse_template(read_text(content, "target"))
    may_show = {"query", "instruction", *(("number",) if kind in _LABELLED else ())}
    _check_slots("text", text, must=SLOTS[kind], may=may_show)
    has_target = kind in ("contrast", "likelihood")
    _check_slots("target", target, must={"query"} if has_target else set())
    if not has_target and target != EMPTY:
        answers = "labels" if kind in _LABELLED else "options"
        raise ValueError(f"a {kind} has {answers}, not a target")
    return text, target


def fill_instruction(
    name: str, text: Template, content: Mapping[str, object], instruction: str | None
) -> Template:
    """Fills the slot {instruction} with the user's instruction, or with the file's own."""
    if "instruction" in text.slots:
        if instruction is None and "instruction" not in content:
            raise InputError(
                f"`prompt` {name} has the slot {{instruction}} and no instruction of its own: "
                "give `instruction`"
            )
        own = read_text(content, "instruction")
        return text.bind("instruction", own if instruction is None else instruction)
    if "instruction" in content:
        raise ValueError("instruction goes with the slot {instruction} in text")
    if instruction is not None:
        raise InputError(
            f"`instruction` plays no part: `prompt` {name} has no slot {{instruction}}"
        )
    return text


def read_options(kind: str, content: Mapping[str, object]) -> tuple[str, ...]:
    """The answers to choose among, or the passages' labels."""
    options = content.get("options", [])
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        raise ValueError("options must be a list of texts")
    different = len({option.strip() for option in options})
    if kind == "grades":
        if different < 2 or different < len(options):
            raise ValueError("grades have two or more different options")
    elif len(options) != (wanted := 2 * (kind in ("choice", "contrast"))) or different != wanted:
        raise ValueError(f"a {kind} has {wanted} different options, not {len(options)}")
    if not all(option.strip() for option in options):
        raise ValueError("an option is blank")
    return tuple(options)


def read_grades(kind: str, content: Mapping[str, object], options: int) -> tuple[float, ...]:
    """The values of the options, of which there are ``options``."""
    grades = content.get("grades", [])
    # A bool is an int, too; hence the exact types.
    if not isinstance(grades, list) or not all(type(grade) in (int, float) for grade in grades):
        raise ValueError("grades must be a list of numbers")
    if len(grades) != (options if kind == "grades" else 0):
        raise ValueError("grades go with kind grades, one for each option")
    return tuple(map(float, grades))


def read_labelled_passages(
    kind: str, content: Mapping[str, object]
) -> tuple[Template, Template, str]:
    """The templates ``passage`` and ``answer``, and ``labels``."""
    passage = parse_template(read_text(content, "passage"))
    answer = parse_template(read_text(content, "answer"))
    labels = read_text(content, "labels", "letters" if kind in _LABELLED else "")
    if kind in _LABELLED:
        _check_slots("passage", passage, must={"label", "passage"})
        _check_slots("answer", answer, must={"label"})
        if labels not in ("letters", "numbers"):
            raise ValueError(f"labels must be letters or numbers, not {labels!r}")
    elif labels or passage != EMPTY or answer != EMPTY:
        kinds = " and ".join(_LABELLED)
        raise ValueError(f"passage, answer and labels go with {kinds}, not {kind}")
    return passage, answer, labels


def read_chat(content: Mapping[str, object]) -> bool:
    """Whether the text goes into the model's chat template."""
    chat = content.get("chat", False)
    if not isinstance(chat, bool):
        raise ValueError("chat must be true or false")
    return chat


def read_max_tokens(content: Mapping[str, object]) -> int:
    """The most tokens that the model writes."""
    max_tokens = content.get("max_tokens", 8)
    if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or max_tokens < 1:
        raise ValueError("max_tokens must be a whole number from 1")
    return max_tokens


def read_prior(content: Mapping[str, object]) -> float:
    """The weight of the first stage's scores."""
    prior = content.get("prior", 0.0)
    if not isinstance(prior, int | float) or not 0 <= prior < float("inf"):
        raise ValueError("prior must be a number from 0")
    return prior


def read_decide(kind: str, content: Mapping[str, object]) -> str:
    """How judgements in both orders are concluded."""
    decide = read_text(content, "decide", "agreement" if kind == "choice" else "soft")
    if decide not in ("agreement", "soft"):
        raise ValueError(f"decide must be agreement or soft, not {decide!r}")
    return decide


def _check_slots(
    key: str, template: Template, *, must: set[str], may: frozenset[str] | set[str] = frozenset()
) -> None:
    if missing := must - template.slots:
        raise ValueError(f"{key} lacks the slot {{{min(missing)}}}")
    if unknown := template.slots - must - may:
        raise ValueError(
            f"{key} has an unknown slot {{{min(unknown)}}}; "
            f"known here: {', '.join(sorted(must | may)) or 'none'}"
        )
