"""The screens of the documentation are those of today, and its pages on commands are complete."""

from __future__ import annotations

import re
import subprocess
import sys
from difflib import unified_diff
from itertools import pairwise
from pathlib import Path

import pytest

from deployer.run.command_table import COMMANDS, GLOBAL_OPTIONS, PROGRAM_OPTIONS, OptionSpec
from deployer.scp_shell.table import COMMANDS as SCP_COMMANDS
from deployer.shell.builtins import BUILTINS
from deployer.shell.options import OPTIONS
from terminals import ROOT

DOCS = ROOT / "docs"
SCREENS = DOCS / "screens"
STYLE = DOCS / "_static" / "screen.css"
NAMES = sorted(path.stem for path in SCREENS.glob("*.session"))

sys.path.insert(0, str(DOCS))

from illustrate import illustrate, normalise, read_session  # noqa: E402

# Sphinx is where the tests of the machine run.
pytestmark = pytest.mark.machine

# The screens.


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NAMES)
def test_a_screen_is_as_a_session_shows_it(name: str) -> None:
    file = SCREENS / f"{name}.txt"
    kept = file.read_text(encoding="utf-8") if file.exists() else ""
    shown = illustrate(name)
    if normalise(kept) != normalise(shown):
        lines = (visible(normalise(text)).splitlines() for text in (kept, shown))
        difference = "\n".join(unified_diff(*lines, str(file), "as it is now", lineterm=""))
        advice = f"if it is as it should be, run: python docs/illustrate.py {name}"
        pytest.fail(f"the screen {name} has changed; {advice}\n{difference}", pytrace=False)


def visible(text: str) -> str:
    return text.replace("\x1b", "␛")


def test_each_screen_has_its_session_and_its_place() -> None:
    assert sorted(path.stem for path in SCREENS.glob("*.txt")) == NAMES
    pages = "".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.rst"))
    unused = [name for name in NAMES if f"/screens/{name}.txt" not in pages]
    assert not unused


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_this_machine_is_on_a_screen(name: str) -> None:
    text = (SCREENS / f"{name}.txt").read_text(encoding="utf-8")
    assert "/tmp/" not in text
    assert str(ROOT) not in text
    assert "Traceback" not in text


def test_what_differs_from_run_to_run_does_not_count() -> None:
    one = "web1  ok     10.2s\n  4.1 MB of 8 MB  12 MB/s  0:01 left\n"
    other = "web1  ok  9.7s\n  4.1 MB of 8 MB  980 kB/s  0:13 left\n"
    assert normalise(one) == normalise(other)
    assert normalise("exit 1, after 2.1s") != normalise("exit 2, after 2.1s")


@pytest.mark.parametrize("text", ["columns: 80\n\n", "size: 80x24\n\nls\n", "keep: some\n\n"])
def test_a_session_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"session|step"):
        read_session(text)


# The extension.


def tokens(text: str) -> list[tuple[str, str]]:
    pytest.importorskip("sphinx")
    from screen import ScreenLexer

    found = ScreenLexer().get_tokens(text)
    return [(str(kind).removeprefix("Token."), value) for kind, value in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", [("Text", "plain")]),
        ("a\x1b[1mb\x1b[22mc", [("Text", "a"), ("Screen.Bold", "b"), ("Text", "c")]),
        ("\x1b[1;31ma\x1b[39mb", [("Screen.Bold.Red", "a"), ("Screen.Bold", "b")]),
        ("\x1b[31ma\x1b[0mb", [("Screen.Red", "a"), ("Text", "b")]),
        ("\x1b[31ma\x1b[mb", [("Screen.Red", "a"), ("Text", "b")]),
        ("\x1b[90ma\x1b[97mb", [("Screen.BrightBlack", "a"), ("Screen.BrightWhite", "b")]),
        ("\x1b[42ma\x1b[101mb", [("Screen.OnGreen", "a"), ("Screen.OnBrightRed", "b")]),
        ("\x1b[33;44ma\x1b[49mb", [("Screen.Yellow.OnBlue", "a"), ("Screen.Yellow", "b")]),
        (
            "\x1b[2;4;7ma\x1b[27mb",
            [("Screen.Dim.Underline.Reverse", "a"), ("Screen.Dim.Underline", "b")],
        ),
        ("\x1b[38;5;31ma\x1b[48;2;1;2;3mb", [("Text", "a"), ("Text", "b")]),
        ("\x1b[35ma\nb", [("Screen.Magenta", "a\nb")]),
    ],
)
def test_sequences_are_tokens(text: str, expected: list[tuple[str, str]]) -> None:
    found = tokens(text)
    kind, value = found[-1]
    # Pygments ends each text with a newline.
    found[-1] = (kind, value.removesuffix("\n"))
    assert found == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_screen_is_shown_whole(name: str) -> None:
    text = (SCREENS / f"{name}.txt").read_text(encoding="utf-8")
    shown = "".join(value for _, value in tokens(text))
    assert "\x1b" not in shown
    assert shown.strip("\n") == re.sub(r"\x1b\[[\d;]*m", "", text).strip("\n")


def test_each_builder_has_what_it_can_show(tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    source = tmp_path / "source"
    source.mkdir()
    (source / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(DOCS)!r})\nextensions = ['screen']\n"
    )
    (source / "one.txt").write_text("\x1b[1;31mred\x1b[0m and plain\n")
    (source / "index.rst").write_text(
        "Title\n=====\n\n.. literalinclude:: one.txt\n   :language: screen\n   :caption: A run\n"
    )
    for builder in ("html", "text", "latex", "xml"):
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", builder]
        subprocess.run([*command, source, tmp_path / builder], check=True)
    html = (tmp_path / "html" / "index.html").read_text()
    assert '-Screen -Screen-Bold -Screen-Bold-Red">red</span> and plain' in html
    assert "A run" in html
    assert "screen.css" in html and (tmp_path / "html" / "_static" / "screen.css").exists()
    assert "red and plain" in (tmp_path / "text" / "index.txt").read_text()
    for file in (tmp_path / "latex").glob("*.tex"):
        assert "\x1b" not in file.read_text()
    assert "\x1b" not in html + (tmp_path / "html" / "searchindex.js").read_text()


def luminance(colour: str) -> float:
    """Return how bright a colour is, as WCAG 2 has it."""
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def test_every_colour_can_be_read() -> None:
    style = STYLE.read_text()
    paper, ink = "#1e2227", "#e6e6e6"
    assert f"background: {paper};\n    color: {ink};" in style
    colours = dict(re.findall(r'"-(\w+)"\] \{ color: (#\w{6})', style))
    assert len(colours) == 17
    for name, colour in colours.items():
        assert contrast(colour, paper) >= 4.5, name
    backgrounds = re.findall(r'"-(On\w+)"\] \{ background: (#\w{6})', style)
    assert len(backgrounds) == 7
    for name, colour in [*backgrounds, ("Reverse", ink)]:
        assert contrast(paper, colour) >= 4.5, name


# The pages.


def read_page(name: str) -> str:
    return (DOCS / f"{name}.rst").read_text(encoding="utf-8")


def terms(page: str) -> list[str]:
    """Return the words of the terms that a page explains: each first line of a definition list."""
    return [
        word
        for line, after in pairwise(page.splitlines())
        if re.match(r"\S", line) and re.match(r"    \S", after)
        for word in re.findall(r"``([^`]+)``", line)
    ]


def test_the_page_of_the_shell_has_every_command() -> None:
    usages = terms(read_page("shell"))
    known = {usage.split()[0] for usage in usages} | {usage[0] for usage in usages}
    assert [name for name in BUILTINS if name not in known] == []
    options = {option for usage in usages for option in re.findall(r"-+\w[\w-]*", usage)}
    for name, builtin in BUILTINS.items():
        assert set(builtin.options) <= options, name


def test_the_page_of_the_shell_has_every_option() -> None:
    explained = terms(read_page("shell"))
    assert [name for name in OPTIONS if name not in explained] == []


def test_the_page_of_secure_copy_has_every_command() -> None:
    usages = terms(read_page("secure_copy"))
    known = {usage.split()[0] for usage in usages} | {usage[0] for usage in usages}
    assert [name for name in SCP_COMMANDS if name not in known] == []
    explained = {
        name: {letter for usage in usages if usage.split()[0] == name for letter in usage}
        for name in SCP_COMMANDS
    }
    for name, command in SCP_COMMANDS.items():
        if not command.is_local or name == "put":
            assert set(command.options) <= explained[name], name


def sections(page: str) -> dict[str, str]:
    """Return the text below each title of a page."""
    parts = re.split(r"^(\S.*)\n[=~-]{2,}\n", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_page_of_the_command_line_has_every_command_with_its_options() -> None:
    titles = sections(read_page("command_line"))
    assert [name for name in COMMANDS if name not in titles] == []
    for name, spec in COMMANDS.items():
        assert options_in(titles[name]) >= names_of(spec.options), name
    assert options_in(titles["Options of the program"]) == names_of(PROGRAM_OPTIONS)
    assert options_in(titles["Options of all commands"]) == names_of(GLOBAL_OPTIONS)


def names_of(options: tuple[OptionSpec, ...]) -> set[str]:
    return {name for option in options for name in option.names}


def options_in(text: str) -> set[str]:
    """Return the options that an option list of a text explains."""
    lines = [line for line in text.splitlines() if re.match(r"-\S", line)]
    return {
        part.split()[0] for line in lines for part in re.split(r"  +", line)[0].split(", ") if part
    }


def test_the_titles_of_commands_come_in_the_order_of_the_help() -> None:
    titles = [title for title in sections(read_page("command_line")) if title in COMMANDS]
    assert titles == list(COMMANDS)
