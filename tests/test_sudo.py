"""The dialogue with sudo, over bytes that arrive in any pieces."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.host.command import SudoPrompt
from deployer.host.sudo import SudoDialogue, SudoState, new_prompt

# As those of `new_prompt`, but the same in each run: they are a part of the names of tests.
PROMPT = SudoPrompt("deployer-sudo-0123456789ab", "deployer-started-0123456789ab")
TOKEN = PROMPT.token.encode()
STARTED = PROMPT.started.encode()


def feed(pieces: list[bytes]) -> tuple[bytes, bytes, bool, SudoState]:
    dialogue = SudoDialogue(PROMPT)
    of_sudo, of_command, asked = b"", b"", False
    for piece in pieces:
        heard = dialogue.feed(piece)
        of_sudo += heard.of_sudo
        of_command += heard.of_command
        asked = asked or heard.asked
    return of_sudo + dialogue.finish(), of_command, asked, dialogue.state


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


places = st.lists(st.integers(0, 10_000), max_size=6)


@pytest.mark.parametrize(
    ("data", "of_sudo", "of_command", "asked", "state"),
    [
        (b"", b"", b"", False, SudoState.WAITING),
        (b"sudo: no such thing\n", b"sudo: no such thing\n", b"", False, SudoState.WAITING),
        (STARTED + b"out", b"", b"out", False, SudoState.STARTED),
        (TOKEN + b"\r\n" + STARTED + b"out", b"\r\n", b"out", True, SudoState.STARTED),
        (TOKEN + STARTED + b"\nout", b"", b"\nout", True, SudoState.STARTED),
        (b"lecture\n" + TOKEN + STARTED + b"out", b"lecture\n", b"out", True, SudoState.STARTED),
        (b"[sudo: " + TOKEN + b"] Password:" + STARTED, b"[sudo: ] Password:", b"", True,
         SudoState.STARTED),
        (TOKEN + b"Sorry.\n" + TOKEN, b"Sorry.\n", b"", True, SudoState.REFUSED),
        (TOKEN + TOKEN + b"\n" + STARTED + b"out", b"\n", b"out", True, SudoState.STARTED),
        # Once the command runs, it may print what it likes.
        (STARTED + TOKEN + STARTED, b"", TOKEN + STARTED, False, SudoState.STARTED),
    ],
)  # fmt: skip
@given(places=places)
def test_the_dialogue_is_the_same_in_any_pieces(
    data: bytes,
    of_sudo: bytes,
    of_command: bytes,
    asked: bool,
    state: SudoState,
    places: list[int],
) -> None:
    assert feed(cut(data, places)) == (of_sudo, of_command, asked, state)


def test_each_prompt_is_told_once() -> None:
    dialogue = SudoDialogue(PROMPT)
    texts = (TOKEN, b"Sorry.\n", TOKEN, b"Sorry.\n", TOKEN, b"\n", STARTED)
    assert [dialogue.feed(text).asked for text in texts] == [True, False] * 3 + [False]


@given(data=st.binary(), places=places)
def test_nothing_of_a_commands_output_is_lost(data: bytes, places: list[int]) -> None:
    assert feed(cut(STARTED + data, places)) == (b"", data, False, SudoState.STARTED)


def test_prompts_are_different_for_each_call_and_safe_for_sudo() -> None:
    other = new_prompt()
    assert other.token != PROMPT.token
    assert all(c.isalnum() or c == "-" for c in other.token + other.started)
