"""What a batch may take on a device."""

from typing import NamedTuple

__all__ = ["DeviceLimits", "device_limits"]

# Not measured yet (`make bench-gpu` does): a card may run 50,000 tokens a second through weights of
# 4B, more through fewer, and transformers starts a pass in 30 ms. High, so that prefixes are
# shared where a batch repeats them many times, as all pairs do, and not where it might not pay.
_LAUNCH_TOKENS = 16_384
# Larger batches only add padding, memory and page faults, and leave the caches.
_CPU_TOKENS = 1024


class DeviceLimits(NamedTuple):
    """What a batch may take on a device.

    Attributes:
        tokens: padded tokens.
        padding: padding of scored requests, in tokens; None for no limit.
        prefix_bytes: keys and values of shared prefixes, and of the rows that go on from them.
        logit_bytes: the logits that are read, in float32.
        launch_tokens: what starting a pass costs, in tokens (``level_starts``); None on a device
            that starts at once, where prefixes are kept for later batches (``packed_rows``).
    """

    tokens: int
    padding: int | None
    prefix_bytes: int
    logit_bytes: int
    launch_tokens: int | None


def device_limits(kind: str, free: int | None) -> DeviceLimits:
    """Returns the limits of a kind of device.

    Args:
        kind: torch's name of it, such as "cpu" or "cuda".
        free: its free memory in bytes beside the model; None if it is not known.

    Examples:
        >>> from rankprompt.llm.local.limits import device_limits
        >>> device_limits("cuda", 40 << 30).prefix_bytes >> 30
        10
    """
    if kind == "cpu":
        # On a CPU, a forward pass costs as much as some 25 tokens, because it reads all weights. So
        # a batch may end where the next request is shorter; twice 25, since rows are cheaper
        # together.
        return DeviceLimits(_CPU_TOKENS, 50, 1 << 30, 1 << 29, None)
    if free is None:
        return DeviceLimits(32768, None, 1 << 30, 1 << 29, _LAUNCH_TOKENS)
    # Keys and values are copied once while a layer adds to them; half stays for all else.
    return DeviceLimits(32768, None, free // 4, free // 8, _LAUNCH_TOKENS)
