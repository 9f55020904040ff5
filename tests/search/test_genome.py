from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankprompt.errors import InputError
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.llm.tokenizer_offsets import model_offsets
from rankprompt.prompts.prompt import load_prompt
from rankprompt.prompts.template import Template, parse_template
from rankprompt.search import Frozen, Prunable, SeedPrompt, Slot, segment
from rankprompt.search.genome import Offsets, Segment
from tests.search.toys import words

TEXTS = st.text(st.sampled_from('ab {}\n"\\\u00e9\u4e2d\U0001f600\u0301\r\x7f'), max_size=12)
SEGMENTS = st.lists(
    st.one_of(
        TEXTS.map(Frozen), TEXTS.map(Prunable), st.sampled_from(["query", "first"]).map(Slot)
    ),
    max_size=8,
)


def shown(segments: list[Segment]) -> str:
    return "".join(f"{{{one.name}}}" if isinstance(one, Slot) else one.text for one in segments)


def prunable(segments: list[Segment]) -> str:
    return "".join(one.text for one in segments if isinstance(one, Prunable))


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Segment], Offsets, list[bool]]:
    """Segments, a tokenizer that answers anything (gaps, overlaps, any order), a mask."""
    segments = draw(SEGMENTS.filter(prunable))
    size = len(shown(segments))
    places = st.integers(0, size)
    tokens = draw(st.lists(st.tuples(places, places), max_size=20))
    mask = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    return segments, lambda _: tokens, mask


@given(cases())
@settings(max_examples=500)
def test_whatever_the_tokenizer_genes_are_the_prunable_characters_and_slots_stay(
    case: tuple[list[Segment], Offsets, list[bool]],
) -> None:
    segments, offsets, mask = case
    seed = SeedPrompt(segments, offsets)
    assert "".join(seed.genes) == prunable(segments)
    assert all(seed.genes)
    assert "".join(text for text, _ in seed.pieces) == shown(segments)

    whole = seed.template(seed.whole)
    assert "".join(f"{{{p}}}" if i % 2 else p for i, p in enumerate(whole.parts)) == shown(segments)

    genome = tuple(mask[: len(seed.genes)])
    pruned = seed.template(genome)
    assert pruned.parts[1::2] == whole.parts[1::2]
    kept = "".join(gene for gene, live in zip(seed.genes, genome, strict=True) if live)
    frozen = "".join(one.text for one in segments if isinstance(one, Frozen))
    assert sorted("".join(pruned.parts[::2])) == sorted(kept + frozen)
    # And as a file holds it, with its braces doubled.
    assert parse_template(str(seed.template(genome))) == pruned


@given(cases())
def test_no_token_is_split_except_at_the_edges_of_segments(
    case: tuple[list[Segment], Offsets, list[bool]],
) -> None:
    segments, offsets, _ = case
    edges, place = {0}, 0
    for one in segments:
        place += len(shown([one]))
        edges.add(place)
    place = 0
    for text, _ in SeedPrompt(segments, offsets).pieces:
        place += len(text)
        assert place in edges or not any(start < place < end for start, end in offsets(""))


@given(TEXTS)
def test_a_seed_of_all_ones_is_the_file_s_text_byte_for_byte(text: str) -> None:
    written = str(Template((text, "query", text)))
    template = parse_template(written)
    if text:
        seed = SeedPrompt(segment(template), words)
        assert str(seed.template(seed.whole)) == written


def test_tokens_within_one_character_are_one_gene() -> None:
    # As byte-level tokenizers do with an emoji: three tokens, all at the same place.
    tokens = [(0, 1), (1, 3), (2, 3), (2, 3), (3, 4)]
    seed = SeedPrompt([Prunable("a \U0001f600b"), Slot("x")], lambda _: tokens)
    assert seed.genes == ("a", " \U0001f600", "b")


def test_a_token_over_an_edge_gives_what_of_it_is_prunable() -> None:
    seed = SeedPrompt([Prunable("Review: "), Slot("x"), Frozen("!"), Prunable("ok")], words)
    assert words("Review: {x}!ok") == [(0, 7), (7, 14)]
    assert seed.genes == ("Review:", " ", "ok")
    assert str(seed.template((False, False, True))) == "{x}!ok"


def test_what_no_token_covers_goes_with_the_token_after_it_or_stands_alone_at_the_end() -> None:
    seed = SeedPrompt([Prunable("  a  b  ")], lambda _: [(2, 3), (5, 6), (6, 6)])
    assert seed.genes == ("  a", "  b", "  ")


def test_the_tokens_of_a_pruned_prompt_are_counted_anew_without_its_slots() -> None:
    seed = SeedPrompt(
        segment(parse_template("a b c{x}")), lambda t: [(i, i + 1) for i in range(len(t))]
    )
    assert seed.count_tokens(seed.template(seed.whole)) == 5
    assert seed.count_tokens(seed.template((True, False, False, False, False))) == 1


def test_texts_are_frozen_where_they_occur_last() -> None:
    template = parse_template("A: x\nA: {first}\nOut:{query} A: or")
    assert segment(template, ["A: ", "Out:"]) == (
        Prunable("A: x\nA: "),
        Slot("first"),
        Prunable("\n"),
        Frozen("Out:"),
        Slot("query"),
        Prunable(" "),
        Frozen("A: "),
        Prunable("or"),
    )


def test_a_frozen_text_that_is_not_there_and_a_seed_without_genes_are_refused() -> None:
    with pytest.raises(InputError, match="not in the prompt between slots: 'B:'"):
        segment(parse_template("A: {first}"), ["B:"])
    with pytest.raises(InputError, match="nothing to prune"):
        SeedPrompt(segment(parse_template("A: {first}"), ["A: "]), words)
    with pytest.raises(ValueError, match="2 genes for a seed of 1"):
        SeedPrompt([Prunable("a")], words).template((True, True))


@pytest.fixture(scope="module")
def offsets() -> Offsets:
    return model_offsets(EMBEDDED)


@pytest.mark.model
@given(data=st.data())
@settings(max_examples=100)
def test_with_a_real_tokenizer_too(offsets: Offsets, data: st.DataObject) -> None:
    segments = data.draw(
        st.lists(
            st.one_of(
                st.text(max_size=20).map(Frozen),
                st.text(min_size=1, max_size=20).map(Prunable),
                st.just(Slot("query")),
            ),
            max_size=6,
        ).filter(prunable)
    )
    seed = SeedPrompt(segments, offsets)
    assert "".join(seed.genes) == prunable(segments)
    genome = tuple(data.draw(st.booleans()) for _ in seed.genes)
    pruned = seed.template(genome)
    assert pruned.parts[1::2] == ("query",) * sum(isinstance(one, Slot) for one in segments)
    assert parse_template(str(seed.template(genome))) == pruned


@pytest.mark.model
def test_the_genes_of_plain_text_are_the_model_s_tokens(offsets: Offsets) -> None:
    prompt = load_prompt("prp-demonstrations")
    frozen = ["\n\nPassage A: ", "\n\nPassage B: ", "Output Passage A or Passage B:"]
    seed = SeedPrompt(segment(prompt.text, frozen), offsets)
    assert str(seed.template(seed.whole)) == str(prompt.text)
    path = Path(__file__).parents[2] / "rankprompt/prompts/prp-demonstrations.toml"
    assert str(seed.template(seed.whole)) in path.read_text()
    demonstrations = prompt.text.parts[0]
    tokens = [demonstrations[start:end] for start, end in offsets(demonstrations)]
    assert list(seed.genes[: len(tokens) - 1]) == tokens[:-1]
    assert abs(len(seed.genes) - seed.count_tokens(seed.template(seed.whole))) < 25
