from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rankprompt.errors import JournalError
from rankprompt.journal.store import Entry, Journal, chunk_name, key
from rankprompt.llm.base import Answer, Problem, Request
from tests.journal.journals import CHUNK, answer, fill, name, stored
from tests.limits import full_disk

texts = st.text(alphabet='ab",[]\\\n é中😀\ud83d', max_size=4)
requests = st.builds(
    Request,
    prompt=texts,
    options=st.lists(texts, max_size=3).map(tuple),
    max_tokens=st.integers(0, 2),
    chat=st.booleans(),
    breaks=st.lists(st.integers(0, 3), max_size=2).map(tuple),
    choices=st.lists(texts, max_size=2).map(tuple),
)


@given(texts, requests, texts, requests)
def test_keys_are_equal_exactly_where_the_content_is(
    fingerprint: str, request: Request, other_fingerprint: str, other: Request
) -> None:
    # The breaks avoid repeated computation, and the choices are a hint; neither is content.
    without_breaks = request._replace(breaks=(), choices=())
    other_content = other._replace(breaks=(), choices=())
    same = (fingerprint, without_breaks) == (other_fingerprint, other_content)
    assert (key(fingerprint, request) == key(other_fingerprint, other)) is same
    assert key(fingerprint, request) == key(fingerprint, Request(*request))
    assert key(fingerprint, request) == key(fingerprint, without_breaks)


def test_every_part_of_a_request_changes_its_key() -> None:
    request = Request("p", (" A", " B"), 3, chat=False)
    variants = [
        ("f", request),
        ("g", request),
        ("f", request._replace(prompt="q")),
        ("f", request._replace(options=(" B", " A"))),
        ("f", request._replace(options=(" A B",))),
        ("f", request._replace(options=())),
        ("f", request._replace(max_tokens=4)),
        ("f", request._replace(chat=True)),
    ]
    assert len({key(*variant) for variant in variants}) == len(variants)
    assert all(len(key(*variant)) == 16 for variant in variants)


def test_a_key_is_the_same_in_every_process_and_version() -> None:
    # A change of this number orphans all existing journals: change the journal's form with it.
    assert key("f", Request("prompt", (" A", " B"))).hex() == "8959e1740a0608ce6f67c6903fcb0476"


@given(st.lists(st.binary(min_size=16, max_size=16)))
def test_a_chunk_is_named_by_what_it_holds_not_by_its_order(keys: list[bytes]) -> None:
    assert chunk_name(keys) == chunk_name(keys[::-1] + keys[:1])
    assert chunk_name(keys) != chunk_name([*keys, b"another"])


answers = st.builds(
    Answer,
    loglikelihoods=st.lists(st.floats(allow_nan=False)).map(tuple),
    tokens=st.lists(st.integers(0, 2**40)).map(tuple),
    text=st.text() | texts,
    problem=st.sampled_from(["", "cut"]),
)


@given(st.dictionaries(st.binary(min_size=16, max_size=16), answers), st.binary(max_size=8))
@example({name(1): Answer((-0.1, float("-inf"), 5e-324), (1,), "\0 \ud800 中文 😀\r\n")}, b"")
def test_answers_come_back_to_the_last_bit(by_key: dict[bytes, Answer], chunk: bytes) -> None:
    with closing(Journal(None)) as journal:
        journal.put(by_key, chunk=chunk, tokens=3, padding=4)
        assert journal.get([*by_key, b"never asked"]) == {
            name: Entry(answer, chunk) for name, answer in by_key.items()
        }


@pytest.mark.parametrize("problem", ["thinking", "refused", "empty", "unlisted", "shortened"])
def test_an_answer_that_is_none_is_counted_and_not_kept(problem: Problem) -> None:
    with closing(Journal(None)) as journal:
        answers = {name(1): Answer(text="yes"), name(2): Answer(problem=problem)}
        journal.put(answers, chunk=b"", tokens=9, padding=0)
        assert list(journal.get(list(answers))) == [name(1)]
        assert journal.totals() == (1, 2)


def test_a_forgotten_answer_can_be_stored_anew() -> None:
    with closing(Journal(None)) as journal:
        journal.put({name(1): Answer(text="both")}, chunk=b"", tokens=9, padding=0)
        journal.forget([name(1), name(2)])
        assert journal.get([name(1)]) == {}
        journal.put({name(1): Answer(text="A")}, chunk=b"c", tokens=9, padding=0)
        assert journal.get([name(1)]) == {name(1): Entry(Answer(text="A"), b"c")}


def test_many_keys_are_found_at_once() -> None:
    with closing(Journal(None)) as journal:
        journal.put(
            {name(i): answer(i) for i in range(0, 3000, 2)}, chunk=CHUNK, tokens=0, padding=0
        )
        assert stored(journal, range(3000)) == list(range(0, 3000, 2))
        assert journal.get([]) == {}


def test_the_first_answer_stays_and_the_totals_tell_of_the_second(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    with closing(Journal(path)) as journal:
        assert journal.totals() == (0, 0)
        fill(path, [1, 2])
        journal.put({name(2): answer(7), name(3): answer(3)}, chunk=b"later", tokens=1, padding=0)
        assert journal.totals() == (3, 4)
        assert journal.get([name(2)]) == {name(2): Entry(answer(2), CHUNK)}


def test_a_journal_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    fill(path, range(5))
    with closing(Journal(path)) as journal:
        assert stored(journal, range(9)) == list(range(5))
        assert journal.totals() == (5, 5)
        assert journal.set_aside is None
    assert [file.name for file in tmp_path.iterdir()] == ["j.journal"]


def test_no_file_without_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(Journal(None)) as journal:
        journal.put({name(1): answer(1)}, chunk=CHUNK, tokens=1, padding=0)
        assert stored(journal, [1]) == [1]
        assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_told(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    with closing(Journal(path)) as journal:
        # A limit on files is the disk I/O error that SQLite has on NFS.
        with full_disk(4096), pytest.raises(JournalError) as caught:
            journal.put({name(i): answer(i) for i in range(3000)}, chunk=CHUNK, tokens=0, padding=0)
        assert "NFS may lack locks: put `journal` on a local disk" in str(caught.value)
