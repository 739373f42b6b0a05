"""What the secure-copy shell shows of files, and reads as modes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.scp_shell.changing import parse_mode
from deployer.scp_shell.display import describe_size, shown
from deployer.scp_shell.table import UsageError


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KB"),
        (1536, "1.5 KB"),
        (10 * 1024, "10 KB"),
        (1024**2 - 1, "1.0 MB"),
        (286 * 1024**2, "286 MB"),
        (5 * 1024**4, "5.0 TB"),
        (5000 * 1024**4, "5000 TB"),
    ],
)
def test_a_size_is_a_number_that_can_be_read(size: int, text: str) -> None:
    assert describe_size(size) == text


@given(st.integers(0, 1024**5))
def test_a_size_takes_little_room(size: int) -> None:
    assert len(describe_size(size)) <= len("1023 KB")


@given(st.text())
def test_what_is_shown_is_one_line_without_effects(text: str) -> None:
    result = shown(text)
    assert len(result) == len(text)
    assert all(c.isprintable() or c == "\xa0" for c in result)


def test_letters_of_all_kinds_are_shown() -> None:
    assert shown("é日本 'x'\xa0") == "é日本 'x'\xa0"
    assert shown("a\x1b[2Jb\n\udce9") == "a?[2Jb??"


@pytest.mark.parametrize(
    ("mode", "before", "is_dir", "after"),
    [
        ("7", 0o644, False, 0o007),
        ("1777", 0o644, True, 0o1777),
        ("u+x", 0o644, False, 0o744),
        ("+x", 0o644, False, 0o755),
        ("a-r", 0o644, False, 0o200),
        ("go=", 0o4777, False, 0o4700),
        ("ug=rw,o-r", 0o007, False, 0o663),
        ("a+X", 0o644, False, 0o644),
        ("a+X", 0o744, False, 0o755),
        ("go+rX", 0o700, True, 0o755),
        ("-", 0o644, False, 0o644),
    ],
)
def test_a_mode_changes_permissions(mode: str, before: int, is_dir: bool, after: int) -> None:
    assert parse_mode(mode, before, is_dir) == after


@pytest.mark.parametrize("mode", ["", "8", "77777", "u", "x", "u+z", "u+x,", "rwxr-xr-x", "+t"])
def test_what_is_no_mode_is_refused(mode: str) -> None:
    with pytest.raises(UsageError, match="is no mode"):
        parse_mode(mode, 0o644, False)
