"""Lines into words: a table of what each line means, and what holds for every line."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import golden
from deployer.cli import LineError, parse, quote, tokenize

#: Lines with more in them that means something than any text has.
LINES = st.text(st.sampled_from("ab=.#'\"\\ \t\né漢")) | st.text()
#: However slow the machine is just now.
thoroughly = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
STYLES = st.sampled_from(["", "'", '"'])


def describe(case):
    line = case.replace("␣", " ").replace("→", "\t").replace("↵", "\n")
    lines = []
    for token in tokenize(line):
        text = token.text.replace("\t", "→").replace("\n", "↵")
        keyword = token.keyword
        said = f"  {keyword[0]} = [{keyword[1]}]" if keyword else ""
        lines.append(f"{token.start:2}-{token.end:<2} [{text}]{said}")
    try:
        words = parse(line).words
    except LineError as error:
        return [*lines, str(error)]
    assert list(words) == tokenize(line)
    return lines


@pytest.mark.parametrize("case", golden.read_cases("grammar.txt"))
def test_a_line_means_this(case):
    golden.check("grammar.txt", case, describe)


@pytest.mark.parametrize(
    ("text", "style", "quoted"),
    [
        ("plain", "", "plain"),
        ("two words", "", "two\\ words"),
        ("it's", "", "it\\'s"),
        ("#3", "", "\\#3"),
        ("", "", "''"),
        ("two\nlines", "", "'two\nlines'"),
        ("two words", "'", "'two words'"),
        ("it's", "'", "'it'\\''s'"),
        ('a "b"', '"', '"a \\"b\\""'),
        ("a\\b", '"', '"a\\\\b"'),
    ],
)
def test_text_is_quoted_in_the_style_that_was_begun(text, style, quoted):
    assert quote(text, style) == quoted


@thoroughly
@given(st.text(), STYLES)
def test_quoted_text_is_one_word_that_means_the_text(text, style):
    assert parse(quote(text, style)).texts == (text,)


@thoroughly
@given(st.lists(st.tuples(LINES, STYLES), min_size=1), st.sampled_from([" ", "\t", "  \n"]))
def test_quoted_words_are_those_words(words, blank):
    line = blank.join(quote(text, style) for text, style in words)
    assert parse(line).texts == tuple(text for text, _ in words)


@thoroughly
@given(LINES)
def test_any_line_has_words_in_order_within_it(line):
    end = 0
    for token in tokenize(line):
        # Only blanks are between them.
        assert not line[end : token.start].strip(" \t\n")
        assert token.start < token.end <= len(line)
        assert token.plain <= len(token.text)
        end = token.end
    rest = line[end:].lstrip(" \t\n")
    assert not rest or rest.startswith("#")


@thoroughly
@given(LINES)
def test_a_word_by_itself_means_what_it_means_in_its_line(line):
    for token in tokenize(line):
        (alone,) = tokenize(line[token.start : token.end])
        assert alone == token._replace(start=0, end=token.end - token.start)


@thoroughly
@given(LINES)
def test_a_line_is_an_error_exactly_when_its_last_word_is_not_finished(line):
    tokens = tokenize(line)
    assert not any(token.unfinished for token in tokens[:-1])
    if tokens and tokens[-1].unfinished:
        with pytest.raises(LineError):
            parse(line)
    else:
        assert parse(line).texts == tuple(token.text for token in tokens)


@thoroughly
@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters="\0\r\f\v"))))
def test_what_a_shell_would_quote_reads_the_same(words):
    assert list(parse(shlex.join(words)).texts) == words
