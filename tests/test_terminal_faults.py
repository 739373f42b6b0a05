"""A terminal that is taken away, and a shell that goes on: rows 47 to 51 of the faults."""

from __future__ import annotations

import ctypes.util
import os
import signal
import subprocess
import sys
import termios
import textwrap
from contextlib import contextmanager

import pytest

from shell_tree import SCRIPT as TREE
from terminals import ROOT, run_in_terminal
from waiting import until

pytestmark = pytest.mark.faults

ENDING = [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]
# What a program that edits lines, or passes keys on, turns off.
_LINES = termios.ECHO | termios.ICANON


def is_at_prompt(lines):
    """Whether the shell waits for a line; its prompt also says how the last one went."""
    return lines[-1].startswith("Tree ") and lines[-1].endswith(" >")


def has_line_mode(screen):
    return termios.tcgetattr(screen._master)[3] & _LINES == _LINES


@contextmanager
def open_program(folder, program, *arguments, **how):
    script = folder / "program.py"
    script.write_text(textwrap.dedent(program), encoding="utf-8")
    with run_in_terminal(script, *arguments, **how) as screen:
        yield screen


# Row 47: in raw mode

RAW = """
    import os, signal, sys
    from deployer.pseudo_terminal import Pty
    pty = Pty()
    print("before", flush=True)
    with getattr(pty, sys.argv[1])():
        print("within", flush=True)
        while True:
            signal.pause()
"""


@pytest.mark.parametrize("mode", ["raw_mode", "cbreak_mode"])
@pytest.mark.parametrize("number", ENDING)
def test_a_signal_that_ends_the_process_leaves_the_terminal_as_it_was(tmp_path, mode, number):
    with open_program(tmp_path, RAW, mode) as screen:
        screen.wait_for(lambda lines: any("within" in line for line in lines))
        until(lambda: not has_line_mode(screen))
        screen.process.send_signal(number)
        assert screen.wait_for_end() == -number
        assert has_line_mode(screen)


def test_a_signal_at_a_question_for_a_secret_leaves_an_echo(tmp_path):
    program = "from deployer.pseudo_terminal import Pty; Pty().ask_secret('Secret: ')"
    with open_program(tmp_path, program) as screen:
        screen.wait_for("Secret:")
        until(lambda: not has_line_mode(screen))
        screen.process.terminate()
        assert screen.wait_for_end() == -signal.SIGTERM
        assert has_line_mode(screen)


def test_a_command_on_a_host_is_no_obstacle(tmp_path):
    program = """
        from deployer.host import LocalHost
        from deployer.pseudo_terminal import Pty
        LocalHost(pty=Pty()).run("echo within; sleep 1000")
    """
    with open_program(tmp_path, program) as screen:
        screen.wait_for("within")
        until(lambda: not has_line_mode(screen))
        screen.process.terminate()
        assert screen.wait_for_end() == -signal.SIGTERM
        assert has_line_mode(screen)


def test_whoever_handles_the_signal_still_does(tmp_path):
    program = """
        import os, signal
        from deployer.pseudo_terminal import Pty
        pty = Pty()
        # print() cannot be called while it is at work, which the signal may interrupt.
        signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"again"))
        handler = signal.getsignal(signal.SIGTERM)
        with pty.raw_mode():
            os.write(1, b"within")
            pty.stdin.read(1)
        print("handled", signal.getsignal(signal.SIGTERM) is handler)
    """
    with open_program(tmp_path, program) as screen:
        screen.wait_for(lambda lines: any("within" in line for line in lines))
        screen.process.terminate()
        screen.wait_for(lambda lines: any("again" in line for line in lines))
        until(lambda: not has_line_mode(screen))
        screen.type("x")
        screen.wait_for(lambda lines: any("handled True" in line for line in lines))
        assert screen.wait_for_end() == 0
        assert has_line_mode(screen)


def test_whoever_ends_by_an_exception_has_the_terminal_restored(tmp_path):
    program = """
        import signal, sys
        from deployer.pseudo_terminal import Pty
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
        with Pty().raw_mode():
            print("within", flush=True)
            signal.pause()
    """
    with open_program(tmp_path, program) as screen:
        screen.wait_for(lambda lines: any("within" in line for line in lines))
        screen.process.terminate()
        assert screen.wait_for_end() == 3
        assert has_line_mode(screen)


def test_a_signal_that_is_ignored_stays_so(tmp_path):
    program = """
        import signal, time
        from deployer.pseudo_terminal import Pty
        pty = Pty()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with pty.raw_mode():
            print("within", flush=True)
            pty.stdin.read(1)
        print("after", signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)
    """
    with open_program(tmp_path, program) as screen:
        screen.wait_for(lambda lines: any("within" in line for line in lines))
        screen.process.send_signal(signal.SIGHUP)
        screen.type("x")
        screen.wait_for(lambda lines: any("after True" in line for line in lines))


def test_afterwards_signals_are_what_they_were(tmp_path):
    program = """
        import signal
        from deployer.pseudo_terminal import Pty
        numbers = [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH]
        before = [signal.getsignal(number) for number in numbers]
        pty = Pty()
        with pty.raw_mode(), pty.resize_events(), pty.cbreak_mode():
            pass
        print("same", [signal.getsignal(number) for number in numbers] == before)
    """
    with open_program(tmp_path, program) as screen:
        screen.wait_for("same True")


def test_another_thread_has_the_mode_without_the_signals(tmp_path):
    program = """
        import threading
        from deployer.pseudo_terminal import Pty
        def run():
            with Pty().raw_mode():
                pass
            print("done")
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    """
    with open_program(tmp_path, program) as screen:
        screen.wait_for("done")
        assert has_line_mode(screen)


NOTED = """
    import os, signal, sys, time
    from deployer.pseudo_terminal import Pty
    if sys.argv[2:] == ["nohup"]:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    note = open(sys.argv[1], "w")
    sys.stderr = note
    pty = Pty()
    with pty.raw_mode():
        # At once, so that the terminal is not closed in the middle of it.
        os.write(1, b"within")
        # At the end of the terminal, there is nothing to read.
        try:
            os.read(0, 1)
        except OSError:
            pass
    note.write("left")
"""


def close_terminal(screen):
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, screen._master)
    os.close(nothing)


def test_a_terminal_that_is_closed_ends_the_process(tmp_path):
    with open_program(tmp_path, NOTED, str(tmp_path / "note")) as screen:
        screen.wait_for(lambda lines: any("within" in line for line in lines))
        close_terminal(screen)
        assert screen.process.wait(20) == -signal.SIGHUP
        assert (tmp_path / "note").read_text() == ""


def test_a_terminal_that_is_closed_is_no_traceback_where_that_is_ignored(tmp_path):
    with open_program(tmp_path, NOTED, str(tmp_path / "note"), "nohup") as screen:
        screen.wait_for(lambda lines: any("within" in line for line in lines))
        close_terminal(screen)
        assert screen.process.wait(20) == 0
        assert (tmp_path / "note").read_text() == "left"


# Row 47: while a line is typed

PROMPT = """
    import sys
    if sys.argv[2:] == ["libedit"]:
        import readline
        readline.__doc__ = "libedit"
    from deployer.cli import History, complete
    from deployer.cli.readline_reader import ReadlineReader
    reader = ReadlineReader(lambda *_: [], History(sys.argv[1], print))
    while True:
        try:
            print("got", reader.read("root > "))
        except EOFError:
            sys.exit(7)
"""


@pytest.fixture(params=["readline", "libedit"])
def library(request):
    if request.param == "readline":
        return {}
    found = ctypes.util.find_library("edit")
    if found is None:
        reason = "libedit is not installed (Debian's package libedit2)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return {"LD_PRELOAD": found}


def open_prompt(folder, library, program=PROMPT):
    arguments = [str(folder / "history"), *(["libedit"] if library else [])]
    return open_program(folder, program, *arguments, HOME=str(folder), **library)


def send_until(screen, number, has_come):
    """Send a signal, as often as it takes: see ``Screen.interrupt_line``."""
    for _ in range(10):
        screen.process.send_signal(number)
        try:
            until(has_come, seconds=2)
            return
        except AssertionError:
            pass
    raise AssertionError(f"{number!r} has no effect")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_signal_while_a_line_is_typed_leaves_the_terminal_as_it_was(tmp_path, library, number):
    with open_prompt(tmp_path, library) as screen:
        screen.wait_for("root >")
        screen.type("half")
        screen.wait_for("root > half")
        until(lambda: not has_line_mode(screen))
        send_until(screen, number, lambda: screen.process.poll() is not None)
        assert screen.wait_for_end() == -number
        assert has_line_mode(screen)
        # What is pasted from now on is not marked, and whatever comes begins a line.
        assert 2004 << 5 not in screen._screen.mode
        assert screen._screen.cursor.x == 0


# Sends a signal while readline is about to wait for keys, when Python does not look for any.
EARLY = """
    import ctypes, functools, readline, sys
    raise_signal = functools.partial(ctypes.CDLL(None)["raise"], int(sys.argv.pop()))
    readline.set_startup_hook(raise_signal)
"""


def test_ctrl_c_just_before_a_line_is_typed_takes_no_line_away(tmp_path):
    program = textwrap.dedent(EARLY + PROMPT)
    with open_program(tmp_path, program, "/dev/null", str(int(signal.SIGINT))) as screen:
        screen.wait_for(lambda lines: lines[-1] == "root >")
        screen.type("line\n")
        screen.wait_for("got line")


def test_a_signal_just_before_a_line_is_typed_ends_the_process(tmp_path):
    program = textwrap.dedent(EARLY + PROMPT)
    with open_program(tmp_path, program, "/dev/null", str(int(signal.SIGTERM))) as screen:
        assert screen.wait_for_end() == -signal.SIGTERM
        assert has_line_mode(screen)


def test_a_terminal_that_is_closed_at_the_prompt_ends_the_process(tmp_path, library):
    with open_prompt(tmp_path, library) as screen:
        screen.wait_for("root >")
        close_terminal(screen)
        assert screen.process.wait(20) in (-signal.SIGHUP, 7)


def test_a_prompt_at_a_terminal_that_is_gone_is_the_end_of_the_input(tmp_path, library):
    program = """
        import os, signal
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.write(1, b"ready")
        try:
            os.read(0, 1)
        except OSError:
            pass
    """
    program = textwrap.dedent(program) + textwrap.dedent(PROMPT)
    with open_prompt(tmp_path, library, program) as screen:
        screen.wait_for("ready")
        close_terminal(screen)
        assert screen.process.wait(20) == 7


JOBS = """
    import os, sys
    os.environ.update(PS1="$ ", ENV="")
    os.execvp("dash", ["dash", "-i"])
"""


@pytest.mark.parametrize("line", ["half", "0123456789" * 10])
def test_ctrl_z_stops_and_fg_goes_on_with_the_line(tmp_path, library, line, need_program):
    need_program("dash")
    script = tmp_path / "prompt.py"
    script.write_text(textwrap.dedent(PROMPT))
    # Shells that edit lines themselves would hide what mode the terminal was left in.
    with open_program(tmp_path, JOBS, HOME=str(tmp_path)) as screen:
        screen.wait_for("$")
        preload = " ".join(f"{name}={value}" for name, value in library.items())
        end = "libedit" if library else ""
        screen.type(f"{preload} {sys.executable} {script} {tmp_path}/history {end}\n")
        screen.wait_for("root >")
        screen.type(line)
        shown = f"root > {line}"
        rows = [shown[start : start + 80] for start in range(0, len(shown), 80)]
        screen.wait_for(lambda lines: lines[-len(rows) :] == rows)
        for _ in range(10):
            screen.type("\x1a")
            try:
                screen.wait_for(lambda lines: lines[-1] == "$", seconds=2)
                break
            except AssertionError:
                pass
        assert has_line_mode(screen)
        screen.type("echo typed at the $SHELLS shell\n")
        screen.wait_for("typed at the shell")
        screen.type("fg\n")
        lines = screen.wait_for(lambda lines: lines[-len(rows) :] == rows)
        assert "typed at the shell" in lines
        screen.type(" line\n")
        screen.wait_for(lambda lines: f"got {line} line" in "".join(lines))
        until(lambda: not has_line_mode(screen))


# Row 48: no terminal on one side, or on both


def run_tree(tail, folder):
    """Run a line of the system's shell; return its status, what it printed, and its errors."""
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {tail}"],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "XDG_STATE_HOME": str(folder),
            "TREE": f"{sys.executable} {TREE}",
        },
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_lines_from_a_pipe_are_a_script(tmp_path):
    assert run_tree("printf 'service one\\nservice two' | $TREE", tmp_path) == (
        0,
        "restarted one\nrestarted two\n",
        "",
    )


def test_a_reader_that_goes_away_ends_a_script_without_a_word(tmp_path):
    lines = "for n in $(seq 20000); do echo service $n; done | $TREE | head -n 1"
    status, output, errors = run_tree(lines, tmp_path)
    assert (status, output, errors) == (141, "restarted 1\n", "")


def test_a_typed_line_whose_output_nobody_reads_is_no_traceback(tmp_path):
    program = f"""
        import os, subprocess, sys
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([sys.executable, {str(TREE)!r}], stdout=writer)
        print("status", done.returncode)
    """
    with open_program(tmp_path, program, XDG_STATE_HOME=str(tmp_path)) as screen:
        screen.wait_for("Tree >")
        screen.type("service one\n")
        lines = screen.wait_for("status 141")
        assert lines == ["Tree > service one", "status 141"]


# Row 49 is in test_history.py; here is what a shell makes of it.


@pytest.mark.parametrize("damage", ["directory", "garbage", "pipe", "full"])
def test_a_history_that_is_of_no_use_is_a_warning_at_most(tmp_path, damage):
    history = tmp_path / "history"
    if damage == "directory":
        history.mkdir()
    elif damage == "garbage":
        history.write_bytes(os.urandom(100_000))
    elif damage == "pipe":
        os.mkfifo(history)
    else:
        history.symlink_to("/dev/full")
    with open_prompt(tmp_path, {}) as screen:
        screen.wait_for("root >")
        screen.type("one\n")
        screen.wait_for("got one")
        screen.type("two\n")
        lines = screen.wait_for("got two")
        text = " ".join(lines)
        assert text.count("is not kept") == (damage != "garbage")
        assert "Traceback" not in text


# Row 50: see the pastes in test_reader.py. Here, the terminal does not mark them.


def test_no_line_of_a_paste_is_an_answer(tmp_path):
    found = ctypes.util.find_library("edit")
    if found is None:
        pytest.skip("libedit is not installed (Debian's package libedit2)")
    program = f"""
        import readline, sys
        readline.__doc__ = "libedit"
        sys.path.insert(0, {str(TREE.parent)!r})
        import shell_tree
        shell_tree.start(shell_tree.Tree)
    """
    how = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "LD_PRELOAD": found}
    with open_program(tmp_path, program, NO_COLOR="1", **how) as screen:
        screen.wait_for("Tree >")
        screen.type("service one\ny\nservice two\n")
        screen.wait_for("Run these 3 lines? [y/N]")
        screen.type("n\n")
        screen.wait_for(is_at_prompt)
        assert "restarted one" not in screen.lines


# Row 51: what is run, or completes, raises


@pytest.mark.parametrize(
    ("raised", "shown"),
    [
        ("ValueError('of no use')", "ValueError: of no use"),
        ("SystemExit(3)", "SystemExit: 3"),
        ("RecursionError()", "RecursionError"),
        ("Silent()", "Silent: <exception str() failed>"),
        ("KeyError('two\\nlines')", "KeyError: 'two\\nlines'"),
    ],
)
def test_a_completer_that_raises_is_shown_and_the_line_is_kept(tmp_path, library, raised, shown):
    program = f"""
        class Silent(Exception):
            def __str__(self):
                raise ValueError
        def fail(line, cursor):
            raise {raised}
    """
    program = textwrap.dedent(program) + textwrap.dedent(PROMPT).replace("lambda *_: []", "fail")
    with open_prompt(tmp_path, library, program) as screen:
        screen.wait_for("root >")
        screen.type("half\t")
        screen.wait_for(f"Completing failed: {shown}")
        screen.wait_for(lambda lines: lines[-1] == "root > half")
        screen.type(" line\n")
        screen.wait_for("got half line")


def test_ctrl_c_ends_a_completer_that_takes_its_time(tmp_path):
    waiting = "wait = lambda *_: [print('\\nwaiting', flush=True), [0 for _ in iter(int, 1)]]\n"
    program = waiting + textwrap.dedent(PROMPT).replace("lambda *_: []", "wait")
    with open_prompt(tmp_path, {}, program) as screen:
        screen.wait_for("root >")
        screen.type("half\t")
        screen.wait_for("waiting")
        screen.type("\x03")
        screen.wait_for("Completing failed: KeyboardInterrupt")
        screen.type(" line\n")
        screen.wait_for("got half line")


@pytest.mark.parametrize(
    ("action", "shown"),
    [
        ("fault", "KeyError: 'key'"),
        ("leave", "The action asked to end the program (status 7)"),
        ("fail", "  status   3"),
    ],
)
def test_an_action_that_raises_is_shown_and_the_shell_goes_on(tmp_path, action, shown):
    with run_in_terminal(TREE, XDG_STATE_HOME=str(tmp_path), NO_COLOR="1") as screen:
        screen.wait_for("Tree >")
        screen.type(f"{action}\n")
        if action == "fail":
            screen.wait_for(lambda lines: "[A]bort" in lines[-1])
            screen.type("a\n")
        screen.wait_for(shown)
        screen.wait_for(is_at_prompt)
        screen.type("service\n")
        screen.wait_for("restarted all")


def test_ctrl_c_again_and_again_ends_no_shell(tmp_path):
    with run_in_terminal(TREE, XDG_STATE_HOME=str(tmp_path), NO_COLOR="1") as screen:
        screen.wait_for("Tree >")
        screen.type("spin\n")
        screen.wait_for("spinning")
        screen.type("\x03\x03\x03\x03")
        screen.wait_for(is_at_prompt)
        screen.type("service\n")
        screen.wait_for("restarted all")
