"""Files with bytes changed at random, for readers to be tried on."""

import random
from collections.abc import Iterator

PIECES = (
    b"\n", b"\t", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\x00", b"\xff", b"\r", b" ",
    b"null", b"1e999", b"NaN", b"\\ud83d", b'"_id"', b"\xef\xbb\xbf", b"-", b"\xe2\x80\xa8",
)  # fmt: skip


def mutate(content: bytes, seed: int, times: int) -> Iterator[bytes]:
    """Copies with one to four pieces deleted, doubled, inserted, replaced or swapped."""
    source = random.Random(seed)
    for _ in range(times):
        changed = bytearray(content)
        for _ in range(source.randint(1, 4)):
            start = source.randrange(len(changed) + 1)
            end = min(len(changed), start + source.choice((1, 1, 2, 5, 40)))
            piece = bytes(changed[start:end])
            changed[start:end] = source.choice(
                (b"", piece + piece, source.choice(PIECES), source.choice(PIECES) + piece,
                 bytes(byte ^ 1 << source.randrange(8) for byte in piece), piece[::-1])
            )  # fmt: skip
        yield bytes(changed)
