"""Lines into words: a table of what each line means, and what holds for every line."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.cli import LineError, parse, quote, tokenize


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  \t ", []),
        ("ls", ["ls"]),
        ("  cd  web   git ", ["cd", "web", "git"]),
        ("say 'hello world'", ["say", "hello world"]),
        ('say "hello world"', ["say", "hello world"]),
        ("say hello\\ world", ["say", "hello world"]),
        ("""say "it's" 'a "b"'""", ["say", "it's", 'a "b"']),
        ("a'b c'd", ["ab cd"]),
        ("say ''", ["say", ""]),
        ('"a\\"b\\\\c\\d"', ['a"b\\c\\d']),
        ("'a\\b'", ["a\\b"]),
        ("\\'", ["'"]),
        ("# a comment", []),
        ("ls # a comment", ["ls"]),
        ("fix#3", ["fix#3"]),
        ("'#3'", ["#3"]),
        ("git.checkout master", ["git.checkout", "master"]),
        ("cd :web1 ..", ["cd", ":web1", ".."]),
        ("a; b | c $d", ["a;", "b", "|", "c", "$d"]),
        ("naïve 漢字", ["naïve", "漢字"]),
    ],
)
def test_a_line_has_these_words(line, words):
    assert list(parse(line).texts) == words


@pytest.mark.parametrize(
    ("line", "positions"),
    [
        ("cd web", [(0, 2), (3, 6)]),
        ("  say 'a b'  ", [(2, 5), (6, 11)]),
        ("a\\ b c", [(0, 4), (5, 6)]),
        ("say 'op en", [(0, 3), (4, 10)]),
        ("end\\", [(0, 4)]),
    ],
)
def test_every_word_knows_where_it_stands(line, positions):
    assert [(token.start, token.end) for token in tokenize(line)] == positions


@pytest.mark.parametrize(
    ("line", "text", "unfinished"),
    [
        ("say 'hello wo", "hello wo", "'"),
        ('say "hello wo', "hello wo", '"'),
        ('say x"y', "xy", '"'),
        ("say 'a'\"", "a", '"'),
        ("say hello\\", "hello", "\\"),
        ('say "a\\', "a\\", '"'),
        ("say 'done'", "done", ""),
    ],
)
def test_an_unfinished_word_is_known(line, text, unfinished):
    last = tokenize(line)[-1]
    assert (last.text, last.unfinished) == (text, unfinished)


@pytest.mark.parametrize(
    ("line", "message"),
    [("say 'hello", "The quote ' at 'hello' is never closed"), ("a\\", "ends in a backslash")],
)
def test_an_unfinished_line_is_an_error_that_says_why(line, message):
    with pytest.raises(LineError, match=message):
        parse(line)


@pytest.mark.parametrize(
    ("word", "keyword"),
    [
        ("commit=master", ("commit", "master")),
        ("commit='a b'", ("commit", "a b")),
        ('commit="a=b"', ("commit", "a=b")),
        ("commit=", ("commit", "")),
        ("a=b=c", ("a", "b=c")),
        ("'commit=master'", None),
        ("com'mit'=x", None),
        ("commit\\=x", None),
        ("=x", None),
        ("--opt=x", None),
        ("http://x?a=1", None),
        ("master", None),
    ],
)
def test_a_name_before_an_equals_sign_is_a_keyword_unless_quoted(word, keyword):
    (token,) = tokenize(word)
    assert token.keyword == keyword


@pytest.mark.parametrize(
    ("text", "style", "quoted"),
    [
        ("plain", "", "plain"),
        ("two words", "", "two\\ words"),
        ("it's", "", "it\\'s"),
        ("", "", "''"),
        ("two words", "'", "'two words'"),
        ("it's", "'", "'it'\\''s'"),
        ('a "b"', '"', '"a \\"b\\""'),
    ],
)
def test_text_is_quoted_in_the_style_that_was_begun(text, style, quoted):
    assert quote(text, style) == quoted


@given(st.text(), st.sampled_from(["", "'", '"']))
def test_quoted_text_is_one_word_that_means_the_text(text, style):
    assert parse(quote(text, style)).texts == (text,)


@given(st.text())
def test_any_line_has_words_in_order_within_it(line):
    end = 0
    for token in tokenize(line):
        assert end <= token.start < token.end <= len(line)
        end = token.end


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters="\0\r\f\v"))))
def test_what_a_shell_would_quote_reads_the_same(words):
    assert list(parse(shlex.join(words)).texts) == words
