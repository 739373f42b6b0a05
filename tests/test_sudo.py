"""The dialogue with sudo, over bytes that arrive in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.host.sudo import SudoDialogue, SudoState, new_prompt

PROMPT = new_prompt()
TOKEN = PROMPT.token.encode()
STARTED = PROMPT.started.encode()


def feed(pieces: list[bytes]) -> tuple[bytes, int, SudoState]:
    dialogue = SudoDialogue(PROMPT)
    shown, wanted = b"", 0
    for piece in pieces:
        data, asked = dialogue.feed(piece)
        shown += data
        wanted += asked
    return shown + dialogue.finish(), wanted, dialogue.state


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in zip(edges, edges[1:], strict=False)]


places = st.lists(st.integers(0, 10_000), max_size=6)


@pytest.mark.parametrize(
    ("data", "shown", "wanted", "state"),
    [
        (b"", b"", 0, SudoState.WAITING),
        (b"sudo: no such thing\n", b"sudo: no such thing\n", 0, SudoState.WAITING),
        (STARTED + b"out", b"out", 0, SudoState.STARTED),
        (TOKEN + b"\r\n" + STARTED + b"out", b"out", 1, SudoState.STARTED),
        (TOKEN + STARTED + b"\nout", b"\nout", 1, SudoState.STARTED),
        (b"lecture\n" + TOKEN + STARTED + b"out", b"lecture\nout", 1, SudoState.STARTED),
        (b"[sudo: " + TOKEN + b"] Password:" + STARTED, b"[sudo: ] Password:", 1, SudoState.STARTED),
        (TOKEN + b"Sorry, try again.\n" + TOKEN, b"Sorry, try again.\n", 1, SudoState.REFUSED),
        # Once the command runs, it may print what it likes.
        (STARTED + TOKEN + STARTED, TOKEN + STARTED, 0, SudoState.STARTED),
    ],
)  # fmt: skip
@given(places=places)
def test_the_dialogue_is_the_same_in_any_pieces(
    data: bytes, shown: bytes, wanted: int, state: SudoState, places: list[int]
) -> None:
    assert feed(cut(data, places)) == (shown, wanted, state)


@given(data=st.binary(), places=places)
def test_nothing_of_a_commands_output_is_lost(data: bytes, places: list[int]) -> None:
    assert feed(cut(STARTED + data, places)) == (data, 0, SudoState.STARTED)


def test_prompts_are_different_for_each_call_and_safe_for_sudo() -> None:
    other = new_prompt()
    assert other.token != PROMPT.token
    assert all(c.isalnum() or c == "-" for c in other.token + other.started)
