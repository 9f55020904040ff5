"""Writing a prompt as a TOML file that ``rerank --prompt`` takes."""

from rankprompt.files.toml import format_toml
from rankprompt.prompts.prompt import Prompt

__all__ = ["format_prompt"]


def format_prompt(prompt: Prompt, *, source: str = "") -> str:
    """Writes a prompt's TOML file; ``load_prompt`` reads the same prompt from it.

    Args:
        prompt: the prompt; its name is not in the file.
        source: where the prompt comes from, for the file's ``source`` key.
    """
    keys = {
        "kind": prompt.kind,
        "description": prompt.description,
        "source": source,
        "text": str(prompt.text),
        "target": str(prompt.target),
        "options": list(prompt.options),
        "chat": prompt.chat,
        "max_tokens": prompt.max_tokens,
        "prior": prompt.prior,
        "decide": prompt.decide,
        **({"grades": list(prompt.grades)} if prompt.grades else {}),
        "passage": str(prompt.passage),
        "answer": str(prompt.answer),
        "labels": prompt.labels,
    }
    return format_toml({key: value for key, value in keys.items() if value != ""})
