"""The name of an adapter."""

from typing import NamedTuple


class LoRARequest(NamedTuple):
    """An adapter that prompts are answered with."""

    lora_name: str
    lora_int_id: int
    lora_path: str
