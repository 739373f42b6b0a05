"""Output is read as a terminal would show it, and outputs are compared."""

from __future__ import annotations

import time

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.utils.transcript import (
    LastLine,
    group_equal,
    leave_out_screens,
    plain_text,
    split_lines,
    strip_colours,
    unified,
)

pytestmark = pytest.mark.machine

RED, BOLD, RESET = "\x1b[31m", "\x1b[1m", "\x1b[0m"

# What redraws, and what does not, as far as pyte knows it too.
MOVEMENTS = ["\r", "\r\n", "\b", "\t", "\x1b[3G", "\x1b[C", "\x1b[12C", "\x1b[2D", "\x1b[999D"]
ERASURES = ["\x1b[K", "\x1b[0J", "\x1b[2K", "       "]
OTHERS = ["\x1b[31m", "\x1b[m", "\x1b[?25l", "\x1b]0;title\x07", "\x1b(B"]
# Not so long that it reaches the edge.
REDRAWING = st.lists(
    st.sampled_from([*MOVEMENTS, *ERASURES, *OTHERS]) | st.text("abc. ", min_size=1, max_size=9),
    max_size=16,
).map("".join)
# Sequences in pieces, as nothing should send them.
CHARACTERS = "\x1b[]\\mKG1;\r\n\b\t\x07\x9b\x9c \0\f漢\u0301a"
SEQUENCES = ["\x1b[31m", "\x1b]0;x", "\x1bP", "\x1b[5", "\x1b[1;", "\x1b[2K"]
PIECES = st.sampled_from([*CHARACTERS, *SEQUENCES]) | st.text(max_size=3)
HOSTILE = st.lists(PIECES, max_size=30).map("".join)


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("", ""),
        ("a\nb\n", "a\nb\n"),
        ("a  \r\nb\r\n", "a  \nb\n"),
        ("abc\rX", "Xbc"),
        ("abc\r\r\nd", "abc\nd"),
        (" 10%\r 50%\r100%\ndone\n", "100%\ndone\n"),
        ("abc\b\bX", "aXc"),
        ("\b\bab", "ab"),
        ("working\r\x1b[Kdone", "done"),
        ("working\r       \rdone", "done"),
        ("working\x1b[2K\x1b[1Gdone", "done"),
        ("abc\x1b[2K\rd", "d"),
        ("abcdef\x1b[3D\x1b[K\n", "abc\n"),
        ("ab\x1b[5Gc", "ab  c"),
        ("abcd\r\x1b[2CX", "abXd"),
        # Other lines, and what else controls a terminal.
        ("a\x1b[2A\x1b[Jb\x1b[2Jc\x1b[5;5Hd", "abcd"),
        ("\x1b[?25l\x1b[?2004ha\x1b(B\x1b7\x1b=b\x1b[>4;1mc", "abc"),
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b\x1bP1$r\x1b\\c\x1b_x\x9cd", "abcd"),
        ("\x1b]0;no end\na", "\na"),
        ("\x1b]0;no\x1b[31mend", "\x1b[31mend"),
        ("a\0b\x07c\x7fd", "abcd"),
        ("a\x9b2Kb\x9b?25lc", " bc"),
        ("a\fb\vc", "a\nb\nc"),
        ("a\x1b", "a"),
        ("a\x1b[31;", "a"),
        ("a\x1b]0;x\x1b", "a"),
        ("a\x1b[12é\x1b[3\nb", "aé\nb"),
        # Tabs.
        ("a\tb\t", "a\tb\t"),
        ("a\tb\rX", "X\tb"),
        ("a\tb\r\x1b[3CX", "a  X    b"),
        ("abc\r\tX", "abc\tX"),
        ("0123456789\r\tX", "01234567X9"),
        # Characters that take two columns, or none.
        ("漢字\rab", "ab字"),
        ("漢字\ra", "a 字"),
        ("漢字\b\b\bX", " X字"),
        ("e\u0301a\r\x1b[CX", "e\u0301X"),
        ("abc\b漢", "ab漢"),
    ],
)
def test_text_is_what_a_terminal_finally_shows(output: str, shown: str) -> None:
    assert plain_text(output) == shown


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (f"{RED}a{RESET}b\n", f"{RED}a{RESET}b\n"),
        (f"a{RED}{BOLD}\nb\x1b[m", f"a{RED}{BOLD}\nb\x1b[m"),
        ("\x9b31ma", f"{RED}a"),
        (f"{RED}abc{RESET}\rX", f"X{RED}bc{RESET}"),
        (f"{RED}10%\r{RESET}20%", "20%"),
        (f"{RED}a\rb", f"{RED}b"),
        (f"a\rb{RED}\nc{RESET}", f"b{RED}\nc{RESET}"),
        (f"{RED}a\nbc\r{BOLD}d", f"{RED}a\n{BOLD}d{RESET}{RED}c{BOLD}"),
        (f"ab\r{RED}{BOLD}{RED}a", f"{BOLD}{RED}a{RESET}b{BOLD}{RED}"),
        (f"{BOLD}a\r\x1b[0;31mb", "\x1b[0;31mb"),
        # As grep does.
        (f"{RED}\x1b[Kmatch\x1b[m\x1b[K  ", f"{RED}match{RESET}  "),
        # Blanks with a background are a bar.
        ("x\r\x1b[44m  \x1b[m  ", "\x1b[44m  \x1b[0m"),
    ],
)
def test_colours_stay_with_what_they_colour(output: str, shown: str) -> None:
    assert plain_text(output) == shown


def test_colours_are_stripped_and_nothing_else() -> None:
    assert strip_colours(f"{RED}a\x1b[38;5;4mb\x1b[4:3mc\x1b[m \x1b[K\r") == "abc \x1b[K\r"


ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


@pytest.mark.parametrize(
    ("output", "kept"),
    [
        (f"a{ENTER}\x1b[2Jdrawn\n{LEAVE}b", "ab"),
        (f"a\x1b[?47hdrawn\x1b[?1047lb{ENTER}drawn{LEAVE}c", "abc"),
        # Who entered it was killed; others do leave.
        (f"a{ENTER}drawn\nb\n", f"a{ENTER}drawn\nb\n"),
        (f"a{ENTER}drawn\nb\n{ENTER}other{LEAVE}c", f"a{ENTER}drawn\nb\nc"),
        (f"a{LEAVE}b{ENTER}", f"a{LEAVE}b{ENTER}"),
    ],
)
def test_what_is_drawn_on_the_alternate_screen_is_left_out(output: str, kept: str) -> None:
    assert leave_out_screens(output) == kept


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("a\n\nb\n", ["a", "", "b", ""]),
        (f"{RED}a{RESET}b\nc", [f"{RED}a{RESET}b", "c"]),
        (f"a{RED}\nb\n\n{RESET}c", [f"a{RED}{RESET}", f"{RED}b{RESET}", "", f"{RED}{RESET}c"]),
        (f"{RED}a\n{BOLD}b", [f"{RED}a{RESET}", f"{RED}{BOLD}b{RESET}"]),
    ],
)
def test_each_line_has_its_own_colours(text: str, lines: list[str]) -> None:
    assert split_lines(text) == lines


def test_a_flood_of_short_lines_takes_little_longer_than_one_of_long_ones() -> None:
    def measure(piece: str) -> float:
        last = LastLine()
        start = time.process_time()
        for _ in range(50):
            last.feed(piece)
        assert last.text.startswith("y")
        return time.process_time() - start

    assert measure("y\r\n" * 1365) < 10 * measure(("y" * 79 + "\r\n") * 50)


@settings(max_examples=80, deadline=None)
@given(output=REDRAWING)
def test_redrawn_lines_look_as_on_a_terminal(output: str) -> None:
    screen = pyte.Screen(300, 31)
    pyte.Stream(screen).feed(output)
    shown = strip_colours(plain_text(output)).split("\n")
    assert [line.expandtabs().rstrip() for line in shown] == [
        line.rstrip() for line in screen.display[: len(shown)]
    ]


@settings(max_examples=60, deadline=None)
@given(output=REDRAWING)
def test_characters_that_are_not_blank_have_the_colour_that_a_terminal_gives_them(
    output: str,
) -> None:
    def coloured(text: str) -> list[list[tuple[str, str]]]:
        screen = pyte.Screen(300, 31)
        pyte.Stream(screen).feed(text.replace("\r\n", "\n").replace("\n", "\r\n"))
        rows = [[screen.buffer[y][x] for x in range(200)] for y in range(screen.lines)]
        return [[(cell.data, cell.fg if cell.data != " " else "") for cell in row] for row in rows]

    assert coloured(plain_text(output)) == coloured(output)


@given(text=st.text(st.characters(exclude_categories=["Cc"]) | st.sampled_from("\n\t")))
def test_text_that_controls_nothing_stays_as_it_is(text: str) -> None:
    assert plain_text(text) == text


@settings(max_examples=300, deadline=None)
@given(output=HOSTILE)
def test_nothing_that_controls_is_left_in_any_output(output: str) -> None:
    shown = plain_text(output)
    assert not {c for c in strip_colours(shown) if c < " " or "\x7f" <= c < "\xa0"} - {"\n", "\t"}
    assert plain_text(shown) == shown


UNFINISHED = ["\x1b", "\x1b]", "\x1b[", "\x1b[1", "\x1b]x\x1b", "\x1b[" + "1" * 1000]
ERASING = ["x\x1b[2K", "\x1b[99Cx\x1b[K", "\x1b[999G\t\n"]
OVERWRITING = ["1\r", "漢\b", "\u0301", "\t\r", "x\x1b[31mx\r\x1b[32m", "x" * 1000 + "\r"]


@pytest.mark.parametrize("repeated", [*UNFINISHED, *ERASING, *OVERWRITING, "x\n", "\x1b[0;m"])
def test_the_time_does_not_grow_with_the_square_of_the_length(repeated: str) -> None:
    start = time.process_time()
    output = "x" * 50_000 + repeated * (100_000 // len(repeated))
    assert plain_text(f"{output}\nend").endswith("\nend")
    last = LastLine()
    last.feed(output)
    last.feed("\nend")
    assert last.text == "end"
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("output", "line", "is_unfinished"),
    [
        ("", "", False),
        ("\n \n\t", "", False),
        ("a\nb\n", "b", False),
        ("a\nb\n\n  \x1b[m\r\n", "b", False),
        ("a\nPassword: ", "Password: ", True),
        ("a\n  ", "a", False),
        ("a\n\x1b[31m", "a", False),
        (f"a\n{RED}b{RESET}c", "bc", True),
        (" 10%\r 20%", " 20%", True),
        ("10%\r", "10%", True),
        ("10%\r\n", "10%", False),
        ("a\n10%\r\x1b[K", "a", False),
        ("a\n10%\r   \r", "a", False),
        ("a\x1b]0;title", "a", True),
        ("a\n\x1b]0;title\x1b\\", "a", False),
        ("a\n\u200b\u0301", "a", False),
    ],
)
def test_the_last_line_is_the_last_with_something_visible(
    output: str, line: str, is_unfinished: bool
) -> None:
    last = LastLine()
    last.feed(output)
    assert (last.text, last.is_unfinished) == (line, is_unfinished)


@settings(max_examples=300, deadline=None)
@given(output=HOSTILE | REDRAWING)
def test_it_does_not_matter_where_output_is_split(output: str) -> None:
    at_once, by_character = LastLine(), LastLine()
    at_once.feed(output)
    for character in output:
        by_character.feed(character)
    assert by_character.text == at_once.text
    assert by_character.is_unfinished == at_once.is_unfinished


@settings(max_examples=200, deadline=None)
@given(output=REDRAWING)
def test_the_last_line_is_the_last_that_is_not_blank_of_the_text(output: str) -> None:
    last = LastLine()
    last.feed(output)
    shown = strip_colours(plain_text(output)).split("\n")
    visible = [line.rstrip() for line in shown if line.strip()]
    assert last.text.rstrip() == (visible[-1] if visible else "")
    assert last.is_unfinished == bool(shown[-1].strip())


def test_of_a_very_long_line_the_end_is_known() -> None:
    last = LastLine()
    for number in range(20_000):
        last.feed(f"{number} ")
    assert last.text.endswith(" 19998 19999 ")
    assert len(last.text) <= 4096


def test_a_sequence_that_is_split_often_is_not_shown() -> None:
    last = LastLine()
    for character in f"a\x1b]52;c;{'A' * 5000}\x1b\\b\x1b[{'1' * 5000}mc":
        last.feed(character)
    assert last.text == "abc"


def test_names_with_equal_values_are_together_and_the_most_come_first() -> None:
    outputs = {"web1": "x", "web2": "y", "web3": "z", "web4": "y", "web5": "z"}
    assert group_equal(outputs) == [
        (["web2", "web4"], "y"),
        (["web3", "web5"], "z"),
        (["web1"], "x"),
    ]
    assert group_equal({}) == []


def test_a_diff_says_what_another_output_has_instead() -> None:
    assert unified("a\nb\nc\n", "a\nX\nc\n", "3 hosts", "web7") == [
        "--- 3 hosts",
        "+++ web7",
        "@@ -1,3 +1,3 @@",
        " a",
        "-b",
        "+X",
        " c",
    ]


def test_a_diff_says_where_the_last_newline_is_missing() -> None:
    assert unified("a\nb", "a\nb\n", "old", "new")[3:] == [
        " a",
        "-b",
        "\\ No newline at end of file",
        "+b",
    ]
    assert unified("", "a", "old", "new")[3:] == ["+a", "\\ No newline at end of file"]
    assert unified("a\x85b\fc\rd\n", "a\x85b\fc\re\n", "old", "new")[3:] == [
        "-a\x85b\fc\rd",
        "+a\x85b\fc\re",
    ]


def test_equal_outputs_have_no_diff() -> None:
    assert unified("a\nb", "a\nb", "old", "new") == []
