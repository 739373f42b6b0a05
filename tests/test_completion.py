"""What could come next in a line, for words that are simply listed, and for a tree of nodes."""

from __future__ import annotations

import pytest

from deployer.cli import Candidate, complete, did_you_mean


class Words:
    """Offers the same words everywhere, and remembers what it was asked."""

    def __init__(self, *candidates):
        self.candidates = [c if isinstance(c, Candidate) else Candidate(c) for c in candidates]
        self.asked = None

    def get_candidates(self, words, word):
        self.asked = (list(words), word)
        return self.candidates


def complete_line(line, *candidates, cursor=None):
    """Return what each completion would make of the line."""
    at = len(line) if cursor is None else cursor
    return [
        line[: c.start] + c.text + c.append + "|" + line[at:]
        for c in complete(Words(*candidates), line, at)
    ]


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        ("", ["web |", "worker |", "My files |".replace(" f", "\\ f")]),
        ("we", ["web |"]),
        ("w", ["web |", "worker |"]),
        ("cd w", ["cd web |", "cd worker |"]),
        ("cd ", ["cd web |", "cd worker |", "cd My\\ files |"]),
        ("W", ["web |", "worker |"]),
        ("my", ["My\\ files |"]),
        ("My\\ f", ["My\\ files |"]),
        ("'My f", ["'My files' |"]),
        ('"My f', ['"My files" |']),
        ("wrk", ["worker |"]),
        ("er", ["worker |"]),
        ("xyz", []),
        ("# w", []),
    ],
)
def test_a_line_is_completed(line, lines):
    assert complete_line(line, "web", "worker", "My files") == lines


def test_letters_in_order_are_enough_only_for_one():
    assert complete_line("wr", "web-server", "worker") == []
    assert complete_line("wk", "web-server", "worker") == ["worker |"]


def test_a_beginning_in_the_same_case_wins():
    assert complete_line("We", "web", "Web") == ["Web |"]


def test_only_what_is_before_the_cursor_is_completed():
    assert complete_line("cd we git", "web", cursor=5) == ["cd web | git"]


def test_the_source_gets_the_words_without_quotes():
    source = Words("x")
    complete(source, "cp 'my file' \"se cond")
    assert source.asked == (["cp", "my file"], "se cond")


def test_a_word_that_goes_on_gets_no_blank():
    assert complete_line("com", Candidate("commit=", is_final=False)) == ["commit=|"]
    assert complete_line("'com", Candidate("commit=", is_final=False)) == ["'commit=|"]


def test_help_and_display_come_along():
    (completion,) = complete(Words(Candidate("a.b", "helps", "b")), "a.")
    assert (completion.display, completion.help) == ("b", "helps")


def test_similar_words_are_offered_for_a_mistake():
    assert did_you_mean("chekout", ["checkout", "clone"]) == " Did you mean 'checkout'?"
    assert did_you_mean("CLONE", ["checkout", "clone"]) == " Did you mean 'clone'?"
    assert did_you_mean("xyz", ["checkout"]) == ""
