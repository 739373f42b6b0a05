"""The lines that were entered before: in a file that shells share, whatever happens to it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deployer.cli import History
from terminals import ROOT

MEGABYTE = 1024 * 1024


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def file(tmp_path):
    return tmp_path / "history"


@pytest.fixture
def history(file, warnings):
    return History(file, warnings.append)


def test_the_history_is_private_and_belongs_to_the_project(tmp_path, monkeypatch, warnings):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for project, line in (("a/deploy.py", "one"), ("b/deploy.py", "two")):
        History.for_project(tmp_path / project, "shell", warnings.append).append(line)
    files = sorted((tmp_path / "deployer").iterdir())
    assert [file.read_text() for file in files] == ["one\n", "two\n"]
    assert [oct(file.stat().st_mode)[-3:] for file in (tmp_path / "deployer", *files)] == [
        "700",
        "600",
        "600",
    ]


def test_nobody_s_home_is_no_history(monkeypatch, warnings):
    monkeypatch.setenv("XDG_STATE_HOME", "~nobody-at-all/state")
    history = History.for_project(Path("deploy.py"), "shell", warnings.append)
    history.append("one")
    assert (history.load(), warnings) == ([], [])


# What is kept


@pytest.mark.parametrize("line", ["", "  ", " secret", "\tsecret"])
def test_some_lines_are_not_kept(history, file, line):
    assert history.append(line) == []
    assert not file.exists()


def test_a_line_is_kept_once_in_a_row(history):
    for line in ("a", "a", "b", "a"):
        history.append(line)
    assert history.load() == ["a", "b", "a"]


def test_a_line_that_was_the_last_one_before_is_not_kept_again(history, file):
    file.write_text("before\n")
    history.load()
    assert history.append("before") == []
    assert file.read_text() == "before\n"


def test_several_lines_are_kept_one_by_one(history):
    assert history.append("a\n\n  b\n c\nd") == ["a", "d"]
    assert history.load() == ["a", "d"]


@pytest.mark.parametrize("line", ["say 漢字 é", "a\tb", "non\xa0breaking", "a\u2028b"])
def test_a_line_comes_back_as_it_was(history, line):
    history.append(line)
    assert history.load() == [line]


def test_lines_are_kept_for_this_session_where_there_is_no_file(warnings):
    assert History(None, warnings.append).append("a\nb") == ["a", "b"]


def test_two_shells_share_a_history(file, history, warnings):
    other = History(file, warnings.append)
    history.append("from one")
    other.append("from two")
    history.append("again")
    assert other.load() == ["from one", "from two", "again"]


# What else may be in the file


def test_what_is_no_text_is_left_out(history, file):
    file.write_bytes(b"good\n\xff\xfe\x00\x01\n\x1b[2J\n\n_HiStOrY_V2_\nlast")
    assert history.load() == ["good", "_HiStOrY_V2_", "last"]


def test_a_line_without_an_end_is_not_joined_with_the_next_one(history, file):
    file.write_bytes(b"good\nhalf a li")
    history.append("next")
    assert history.load() == ["good", "half a li", "next"]


def test_of_a_large_file_the_end_is_read_and_left(history, file, warnings):
    with file.open("w") as writing:
        for number in range(100):
            writing.write(f"line {number} {'x' * MEGABYTE}\n")
        writing.write("last but one\nlast\n")
    file.chmod(0o640)
    tracking = Tracking(os.getpid())
    assert history.load() == ["last but one", "last"]
    assert tracking.read_bytes() < 4 * MEGABYTE
    assert file.read_text() == "last but one\nlast\n"
    history.append("next")
    assert file.read_text() == "last but one\nlast\nnext\n"
    assert warnings == []


class Tracking:
    """How much a process reads, as the kernel counts it."""

    def __init__(self, pid):
        self._file = Path(f"/proc/{pid}/io")
        self._before = self._count()

    def _count(self):
        return int(self._file.read_text().split()[1])

    def read_bytes(self):
        return self._count() - self._before


def test_a_file_that_has_become_too_large_keeps_its_last_half(history, file):
    line = "x" * 99
    file.write_text("".join(f"{line[:90]}{number:09}\n" for number in range(12000)))
    last = history.load()
    assert (len(last), last[-1][-9:]) == (2000, "000011999")
    assert MEGABYTE // 2 - 100 < file.stat().st_size <= MEGABYTE // 2
    assert file.read_text().startswith("x" * 90)


def test_a_link_is_followed(tmp_path, file, warnings):
    file.write_text(("x" * 99 + "\n") * 12000)
    link = tmp_path / "link"
    link.symlink_to(file)
    history = History(link, warnings.append)
    history.load()
    history.append("next")
    assert link.is_symlink()
    assert file.stat().st_size < MEGABYTE
    assert history.load()[-1] == "next"


def test_no_line_of_a_shell_is_lost_while_others_cut_the_file_down(tmp_path, file):
    program = """
import sys
from deployer.cli import History, history
history._MAX_BYTES = 20000
name, path = sys.argv[1:]
kept = History(path, sys.exit)
for number in range(400):
    kept.append(f"{name} {number} " + "x" * 40)
    if number % 10 == 0:
        kept.load()
        kept = History(path, sys.exit)
    # Of the last lines, which nobody cuts off, ours are all there.
    mine = [int(line.split()[1]) for line in kept.load() if line.startswith(name)]
    assert mine == list(range(mine[0], number + 1)), mine
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    shells = [
        subprocess.Popen([sys.executable, "-c", program, name, str(file)], env=environment)
        for name in ("one", "two", "three")
    ]
    assert [shell.wait(60) for shell in shells] == [0, 0, 0]
    assert file.stat().st_size <= 30000
    assert sorted(tmp_path.iterdir()) == [file]


# Where it cannot be kept


def test_a_directory_in_its_place_costs_one_warning(tmp_path, warnings):
    history = History(tmp_path, warnings.append)
    assert history.load() == []
    history.append("one")
    history.append("two")
    (warning,) = warnings
    assert warning == f"the history {tmp_path} cannot be read: Is a directory; it is not kept"


def test_a_file_in_place_of_its_directory_costs_one_warning(tmp_path, warnings):
    (tmp_path / "file").touch()
    history = History(tmp_path / "file" / "history", warnings.append)
    history.append("one")
    history.append("two")
    assert len(warnings) == 1


@pytest.mark.parametrize("act", [History.load, lambda history: history.append("one")])
def test_a_pipe_in_its_place_is_not_waited_for(history, file, warnings, act):
    os.mkfifo(file)
    act(history)
    (warning,) = warnings
    assert "Not a file" in warning


@contextmanager
def as_nobody():
    """Be somebody who may not do everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_file_that_may_not_be_written_is_read_and_costs_one_warning(warnings):
    # Not in a directory of pytest, which is for its user alone.
    with TemporaryDirectory() as folder:
        file = Path(folder, "history")
        history = History(file, warnings.append)
        # This also imports all that is needed.
        history.append("before")
        file.chmod(0o444)
        file.parent.chmod(0o555)
        with as_nobody():
            assert history.load() == ["before"]
            assert history.append("one") == ["one"]
            history.append("two")
        (warning,) = warnings
        assert warning.endswith("cannot be written: Permission denied; it is not kept")
        assert file.read_text() == "before\n"
        file.parent.chmod(0o755)


def test_a_full_disk_costs_one_warning_and_no_other_line(file):
    program = """
import resource, sys
from deployer.cli import History
history = History(sys.argv[1], print)
history.append("before")
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
history.append("one")
history.append("two")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
history = History(sys.argv[1], print)
history.append("later")
print(history.load())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.stdout == (
        f"the history {file} cannot be written: File too large; it is not kept\n"
        "['before', 'one', 'later']\n"
    )
