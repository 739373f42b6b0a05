"""Names in lines of the secure-copy shell: what is quoted in them, and what they match."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deployer.scp_shell.globbing import Word, expand, quote_name, read_words

FILES = {
    "": ["a.txt", "b.txt", ".hidden", "a*b", "[x]", "dir", "dir2", "-dash", "~", "a b", "ü"],
    "dir/": ["one.c", "two.c", ".git"],
    "dir2/": ["one.c", "sub"],
    "dir2/sub/": ["deep"],
    "/": ["etc"],
    "/etc/": ["hosts", "passwd"],
}


def find(line: str) -> list[str]:
    """Return what the only word of a line stands for."""
    (word,) = read_words(line)
    return [found.text for found in expand(word, FILES.get)]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("plain", ["plain"]),
        ("*.txt", ["a.txt", "b.txt"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("*", ["-dash", "[x]", "a b", "a*b", "a.txt", "b.txt", "dir", "dir2", "~", "ü"]),
        (".*", [".hidden"]),
        ("[ab].txt", ["a.txt", "b.txt"]),
        ("[!a].txt", ["b.txt"]),
        ("[^a].txt", ["b.txt"]),
        ("[a-c].txt", ["a.txt", "b.txt"]),
        ("[c-a].txt", []),
        ("[!c-a].txt", ["a.txt", "b.txt"]),
        ("[]x].txt", []),
        ("[[]x]", ["[x]"]),
        ("[.]hidden", []),
        ("?", ["~", "ü"]),
        ("dir*/*.c", ["dir/one.c", "dir/two.c", "dir2/one.c"]),
        ("*/one.c", ["dir/one.c", "dir2/one.c"]),
        ("*/sub/*", ["dir2/sub/deep"]),
        ("dir?/", ["dir2/"]),
        ("a*/", []),
        ("/etc/h*", ["/etc/hosts"]),
        ("/*/passwd", ["/etc/passwd"]),
        ("nowhere/*", []),
        # What is quoted stands for itself.
        ("'*'", ["*"]),
        ("\\*.txt", ["*.txt"]),
        ('"a*"*', ["a*b"]),
        ("a\\*?", ["a*b"]),
        ("a\\ *", ["a b"]),
        ("'a '?", ["a b"]),
        ("\\[x\\]", ["[x]"]),
        ("[x", ["[x"]),
        ("[x\\]", ["[x]"]),
        ("[a\\-c].txt", ["a.txt"]),
        ("[\\!a].txt", ["a.txt"]),
        ('"[x]"', ["[x]"]),
    ],
)
def test_a_word_stands_for_what_it_matches(line: str, found: list[str]) -> None:
    assert find(line) == found


@pytest.mark.parametrize(
    ("line", "has_tilde", "is_option"),
    [
        ("~/file", True, False),
        ("~user", True, False),
        ("~/*", True, False),
        ("\\~/file", False, False),
        ("'~'", False, False),
        ("a~", False, False),
        ("~*", False, False),
        ("-r", False, True),
        ("--", False, True),
        ("-", False, False),
        ("\\-r", False, False),
        ("'-r'", False, False),
    ],
)
def test_only_what_is_not_quoted_is_a_home_or_an_option(
    line: str, has_tilde: bool, is_option: bool
) -> None:
    (word,) = read_words(line)
    assert (word.has_tilde, word.is_option) == (has_tilde, is_option)


# Beside characters that are special somewhere, some that are none.
names = st.text(st.sampled_from("*?[]!^-~\\'\" #ab.é\n"), min_size=1)


@given(names, st.sampled_from(["", "'", '"']))
@example("[!a-b]", "")
@example("-", "")
def test_a_quoted_name_stands_for_itself(name: str, style: str) -> None:
    words = read_words(f"get {quote_name(name, style)} end")
    assert words[1] == words[1]._replace(text=name)
    assert not (words[1].has_wildcards or words[1].has_tilde or words[1].is_option)
    assert len(words) == 3


@given(st.text(st.sampled_from("*?[]!-ab."), min_size=1), st.text("ab.-!]", min_size=1))
def test_patterns_match_as_they_do_in_python(pattern: str, name: str) -> None:
    (word,) = read_words(pattern)
    is_hidden = name.startswith(".") and not pattern.startswith(".")
    found = expand(word, lambda _: [name])
    if word.has_wildcards:
        expected = fnmatch.fnmatchcase(name, pattern) and not is_hidden
        assert found == ([Word(name)] if expected else [])
    else:
        assert [one.text for one in found] == [pattern]
