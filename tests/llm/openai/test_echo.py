import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import ModelError
from rankprompt.llm.base import Answer
from rankprompt.llm.openai.echo import Echo, read_echo
from rankprompt.llm.openai.model import OpenAIModel
from rankprompt.llm.openai.schema import Listing
from tests.llm.openai.calls import SCORE, Body, ask, echoed, refusal
from tests.servers.protocol import ProtocolServer, Reply, reply

PROMPT, OPTION = "Passage: a café 😀 in Genève\nQuestion:", " où est 甲乙 x"
TEXT = PROMPT + OPTION


def echo(
    tokens: Sequence[str], *, text: str = TEXT, begin: int = len(PROMPT), new: str | None = " new"
) -> Echo | None:
    """Reads an echo in which the tokens have the log-probabilities 0, -1, -2 ..."""
    shown = [*tokens, new] if new is not None else list(tokens)
    values: list[float | None] = [None, *(-float(place) for place in range(1, len(shown)))]
    return read_echo(Listing(tokens=shown, token_logprobs=values), text, begin)


def words(text: str) -> list[str]:
    """A text's tokens: each word with the space before it."""
    return [part if not number else f" {part}" for number, part in enumerate(text.split(" "))]


PLAIN = words(TEXT)
LAST = tuple(-float(place) for place in range(len(PLAIN) - 4, len(PLAIN)))


def pieces(tokens: Sequence[str]) -> list[str]:
    """As a byte-level vocabulary writes them."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    names = {byte: chr(byte) for byte in shown}
    names |= {byte: chr(256 + place) for place, byte in enumerate(hidden)}
    return ["".join(names[byte] for byte in token.encode()) for token in tokens]


@pytest.mark.parametrize(
    "tokens",
    [
        PLAIN,
        pieces(PLAIN),
        [token.replace(" ", "▁") for token in PLAIN],
        ["▁" + PLAIN[0], *(token.replace(" ", "▁") for token in PLAIN[1:])],
    ],
)
@pytest.mark.parametrize("new", [" new", "", "x", " x", "</s>", None])
def test_the_option_is_found_from_the_end(tokens: Sequence[str], new: str | None) -> None:
    assert echo(tokens, new=new) == Echo(LAST, shortened=False)


@pytest.mark.parametrize("first", ["<s>", "<|begin_of_text|>", "", "<bos>"])
def test_a_first_token_that_is_no_text(first: str) -> None:
    shifted = tuple(one - 1 for one in LAST)
    assert echo([first, *PLAIN]) == Echo(shifted, shortened=False)


def with_parts(word: str, parts: Sequence[str]) -> list[str]:
    place = PLAIN.index(word)
    return [*PLAIN[:place], *parts, *PLAIN[place + 1 :]]


@pytest.mark.parametrize(
    "parts",
    [
        [" 甲", "\ufffd", "\ufffd"],
        [" 甲", "\ufffd", "\ufffd", "\ufffd"],
        [" ", "\ufffd", "\ufffd", "乙"],
        [" ", "", "", "甲", "乙"],
        [" \ufffd", "\ufffd", "", "乙"],
        [" \ufffd\ufffd"],
        [" ", "<0xE7>", "<0x94>", "<0xB2>", "乙"],
        ["bytes: \\xe7\\x94", "bytes:\\xb2", "乙"],
        [" 甲\ufffd", "\ufffd"],
    ],
)
def test_parts_of_characters_count_with_their_character(parts: list[str]) -> None:
    found = echo(with_parts(" 甲乙", parts))
    assert found is not None
    assert len(found.logprobs) == 3 + len(parts)
    assert found.logprobs[-1] == -(len(PLAIN) + len(parts) - 2)


@pytest.mark.parametrize("parts", [[" ", "\ufffd", "\ufffd"], [" ", "\ufffd"], [" \ufffd", "", ""]])
def test_parts_of_characters_before_the_option_move_nothing(parts: list[str]) -> None:
    found = echo(with_parts(" 😀", parts))
    assert found is not None
    assert found.logprobs == tuple(one - len(parts) + 1 for one in LAST)


def test_a_token_across_the_border_counts() -> None:
    place = PLAIN.index(" où")
    joined = [*PLAIN[: place - 1], PLAIN[place - 1] + PLAIN[place], *PLAIN[place + 1 :]]
    found = echo(joined)
    assert found is not None
    assert len(found.logprobs) == 4


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        ["x"],
        [token.strip() for token in PLAIN],
        PLAIN[:-1],
        PLAIN[:-2] + PLAIN[-1:],
        [*PLAIN[:-1], " y"],
        # Shown with the text before them.
        ["".join(PLAIN[max(0, place - 2) : place + 1]) for place in range(len(PLAIN))],
        ["".join(PLAIN[: place + 1]) for place in range(len(PLAIN))],
        ["\n\n" + token for token in PLAIN],
        [f"token_id:{place}" for place in range(len(PLAIN))],
        # Parts that lie on both sides of the border.
        [*PLAIN[:-4], "\ufffd\ufffd"],
    ],
)
def test_tokens_that_do_not_spell_the_text_are_refused(tokens: list[str]) -> None:
    assert echo(tokens) is None


def test_a_repeated_word_is_no_generated_one() -> None:
    tokens = words("Say: ha ha ha")
    text = "Say: ha ha ha"
    for new in (" ha", None, ""):
        found = echo(tokens, text=text, begin=4, new=new)
        assert found == Echo((-1.0, -2.0, -3.0), shortened=False)


def test_a_normalised_text_still_fits() -> None:
    prompt, option = "Cafe\u0301 noir:", " e\u0301te\u0301"
    found = echo(["Caf\xe9", " noir:", " \xe9t\xe9"], text=prompt + option, begin=len(prompt))
    assert found == Echo((-2.0,), shortened=False)


def test_a_text_without_its_beginning_is_shortened() -> None:
    prompt = "word " * 200 + "Question:"
    tokens = words(prompt + OPTION)[-20:]
    found = echo(["<s>", *tokens], text=prompt + OPTION, begin=len(prompt))
    assert found is not None
    assert found.shortened


@given(st.text(min_size=1), st.text(min_size=1), st.data())
def test_any_split_of_a_text_is_found(prompt: str, option: str, data: st.DataObject) -> None:
    text = prompt + option
    cuts = sorted(data.draw(st.sets(st.integers(1, len(text)), max_size=8)) | {0, len(text)})
    tokens = [text[one:other] for one, other in pairwise(cuts)]
    if "\ufffd" in text or any(mark in text for mark in ("Ġ", "Ċ", "▁", "<0x", "bytes:")):
        return
    values: list[float | None] = [-float(place) for place in range(len(tokens) + 1)]
    found = read_echo(Listing(tokens=[*tokens, "!"], token_logprobs=values), text, len(prompt))
    first = max(place for place, cut in enumerate(cuts[:-1]) if cut <= len(prompt))
    assert found == Echo(tuple(-float(place) for place in range(first, len(tokens))), False)


def test_offsets_are_not_read() -> None:
    tokens = ["Passage", ":", " x", " Question", ":", " what", " is", " x", " and"]
    body: Body = echoed(tokens, [None, -1, -2, -3, -4, -0.5, -0.25, -0.125, -9])
    for offsets in ([0] * 9, [-5, *range(100, 108)], None, ["x"] * 9):
        body["choices"][0]["logprobs"]["text_offset"] = offsets
        ((answer, _),) = ask(lambda _: body, SCORE)
        assert answer.loglikelihoods == (-0.875,)


def test_echoed_tokens_that_do_not_fit_are_told() -> None:
    body = echoed(["Passage", ": x Question", ": what", " and"], [None, -1, -2, -3])
    message = refusal(lambda _: body, SCORE)
    assert "this server cannot score given texts (echoed tokens do not fit)" in message


def test_a_vllm_that_refuses_to_echo_is_asked_for_the_prompt_by_another_name() -> None:
    bodies: list[Body] = []

    def respond(_: str, body: Body) -> Body | Reply:
        bodies.append(body)
        if "echo" in body:
            return reply({"error": {"message": "echo is not supported", "code": 400}}, 400)
        values = {"Passage:": None, " x": -3.0, " Question:": -2.5, " what": -1.5, " is": -0.5,
                  " x ": -0.25}  # fmt: skip
        listed = [
            value and {f"{token}": {"logprob": value, "rank": 1, "decoded_token": word.rstrip()}}
            for token, (word, value) in enumerate(values.items())
        ]
        return {"choices": [{"text": "!", "prompt_logprobs": listed}]}

    async def go(url: str) -> list[Answer]:
        model = OpenAIModel("m", base_url=url)
        try:
            return [(await model.answer(SCORE))[0] for _ in range(2)]
        finally:
            await model.close()

    models = {"data": [{"id": "m", "owned_by": "vllm"}]}
    pages = {"/version": {"version": "1"}}
    with ProtocolServer(respond, models=models, pages=pages) as server:
        assert asyncio.run(go(server.url)) == [Answer((-2.25,), (3,))] * 2
    assert ["echo" in body for body in bodies] == [True, False, False]
    # What other servers refuse they refuse.
    with (
        pytest.raises(ModelError, match="cannot score given texts"),
        ProtocolServer(respond) as server,
    ):
        asyncio.run(go(server.url))
