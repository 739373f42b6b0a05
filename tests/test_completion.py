"""What could come next in a line: a table of it, and what holds for every line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import golden
from deployer.cli import Candidate, complete, did_you_mean, parse, quote, tokenize
from test_grammar import LINES, STYLES, thoroughly

WORDS = [
    Candidate("web"),
    Candidate("worker"),
    Candidate("My files"),
    Candidate("it's"),
    Candidate("a\\b"),
    Candidate('say "hi"'),
    Candidate("#3"),
    Candidate("naïve"),
    Candidate("漢字"),
    Candidate("git.log", display="log"),
    Candidate("commit=", is_final=False),
]


class Words:
    """Offers the same words everywhere, and remembers what it was asked."""

    def __init__(self, *candidates):
        self.candidates = candidates
        self.asked = None

    def get_candidates(self, words, word):
        self.asked = (list(words), word)
        return self.candidates


def describe(case):
    before, after = case.replace("→", "\t").split("|")
    return [
        f"{completion.start:2} [{completion.text}][{completion.append}]"
        + (f" {completion.display}" if completion.display != completion.text else "")
        for completion in complete(Words(*WORDS), before + after, len(before))
    ]


@pytest.mark.parametrize("case", golden.read_cases("completion.txt"))
def test_a_line_is_completed_like_this(case):
    golden.check("completion.txt", case, describe)


def test_letters_in_order_are_enough_only_for_one():
    several = Words(Candidate("web-server"), Candidate("worker"))
    assert complete(several, "wr") == []
    assert [completion.text for completion in complete(several, "wk")] == ["worker"]


def test_the_cursor_is_at_the_end_where_nothing_else_is_said():
    assert complete(Words(*WORDS), "cd we") == complete(Words(*WORDS), "cd we", 5)


def test_the_source_gets_the_words_without_quotes():
    source = Words(Candidate("x"))
    complete(source, "cp 'my file' \"se cond")
    assert source.asked == (["cp", "my file"], "se cond")


def test_what_is_shown_comes_along():
    (completion,) = complete(Words(Candidate("a.b", "helps", "b", colour="red")), "a.")
    assert (completion.display, completion.help, completion.colour) == ("b", "helps", "red")


def apply(line, completion):
    return line[: completion.start] + completion.text + completion.append


@thoroughly
@given(st.lists(st.tuples(LINES, STYLES)), LINES, STYLES, st.data())
def test_what_is_completed_is_the_word_that_was_meant(before, value, style, data):
    """However much of it was typed, in whatever quotes, behind whatever other words."""
    line = "".join(quote(text, quotes) + " " for text, quotes in before)
    whole = quote(value, style)
    typed = whole[: data.draw(st.integers(0, len(whole)))]
    words = [text for text, _ in before]
    for completion in complete(Words(Candidate(value)), line + typed):
        assert list(parse(apply(line + typed, completion)).texts) == [*words, value]


@thoroughly
@given(LINES, LINES)
def test_what_completes_any_line_is_a_word_of_its_own(line, value):
    for completion in complete(Words(Candidate(value)), line):
        tokens = tokenize(apply(line, completion))
        assert tokens[-1].text == value
        assert not tokens[-1].unfinished
        # Whatever was before it is as it was.
        assert tokens[:-1] == tokenize(line[: completion.start])


@thoroughly
@given(LINES, LINES)
def test_a_word_that_goes_on_is_left_so_that_it_can(line, value):
    for completion in complete(Words(Candidate(value, is_final=False)), line):
        assert completion.append == ""
        assert tokenize(apply(line, completion))[-1].text == value


@thoroughly
@given(LINES, st.lists(LINES, unique=True))
def test_completing_never_raises_and_offers_only_what_there_is(line, values):
    source = Words(*(Candidate(value) for value in values))
    for cursor in range(len(line) + 1):
        found = complete(source, line, cursor)
        assert {completion.display for completion in found} <= set(values)
        assert all(0 <= completion.start <= cursor for completion in found)


def test_similar_words_are_offered_for_a_mistake():
    assert did_you_mean("chekout", ["checkout", "clone"]) == " Did you mean 'checkout'?"
    assert did_you_mean("CLONE", ["checkout", "clone"]) == " Did you mean 'clone'?"
    assert did_you_mean("xyz", ["checkout"]) == ""
