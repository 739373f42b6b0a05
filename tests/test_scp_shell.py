"""The secure-copy shell: both sides of it, here and over real SSH."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.exceptions import NodeUsageError
from deployer.host import Host
from deployer.host_container import HostContainer
from deployer.scp_shell import ScpShell
from deployer.scp_shell.table import COMMANDS, OTHER_NAMES
from scp_session import Session, open_session
from shell_tree import SCRIPT, first
from terminals import run_in_terminal, run_script

pytestmark = pytest.mark.machine

HostClass = type[Host]


@pytest.fixture
def session(host_class: HostClass, tmp_path: Path) -> Iterator[Session]:
    with open_session(host_class, tmp_path / "it's here") as session:
        session.host.run("mkdir 'my folder' .hidden; ln -s 'my folder' link")
        session.write("remote file")
        (session.here / "my folder").mkdir()
        (session.here / "local 'file'").write_text("from here")
        (session.here / ".hidden").touch()
        yield session


# Looking around.


def test_each_side_has_its_directory(session: Session) -> None:
    assert session.run("pwd", "lpwd") == f"{session.there}\n{session.here}\n"
    session.run("cd 'my folder'", "lcd my\\ folder/..")
    assert session.run("pwd", "lpwd") == f"{session.there}/my folder\n{session.here}\n"


def test_cd_goes_home_and_back(session: Session) -> None:
    home = session.host.get_home_directory()
    assert session.run("cd", "pwd", "cd -", "pwd") == f"{home}\n{session.there}\n"
    assert session.run("lcd", "lcd -", "lpwd") == f"{session.here}\n"
    assert session.run("cd ~", "pwd") == f"{home}\n"


def test_directories_of_others_do_not_change(session: Session) -> None:
    session.run("cd /")
    assert session.shell.host.getcwd() != "/"


def test_each_side_is_listed_with_marks_and_without_hidden_files(session: Session) -> None:
    assert session.run("ls") == "link@        my folder/   remote file\n"
    assert session.run("lls") == "local 'file'  my folder/\n"
    assert session.run("ls 'my folder'") == ""
    assert session.run("lls -a").split() == [".hidden", "local", "'file'", "my", "folder/"]
    assert ".hidden/" in session.run("ls -a")


def test_a_long_list_says_what_files_are(session: Session) -> None:
    session.host.run("chmod 640 'remote file'; touch -d '2020-01-02 03:04:05' 'remote file'")
    lines = session.run("ls -l").splitlines()
    assert lines[0].startswith("lrwx") and lines[0].endswith("  link -> my folder")
    assert lines[1].startswith("drwx") and lines[1].endswith("  my folder/")
    assert lines[2].startswith("-rw-r-----")
    assert lines[2].endswith(" 10  2020-01-02 03:04  remote file")


def test_several_directories_are_listed_under_their_names(session: Session) -> None:
    session.host.run("touch 'my folder/inner'")
    assert session.run("ls 'remote file' my\\ folder .hidden").splitlines() == [
        "remote file",
        "",
        "my folder:",
        "inner",
        "",
        ".hidden:",
    ]


def test_what_matches_a_pattern_is_listed_by_name(session: Session) -> None:
    assert session.run("ls *f*") == "my folder/   remote file\n"
    assert session.run("ls m*", "lls -a .*") == "my folder/\n.hidden\n"


def test_a_name_does_nothing_to_the_terminal(session: Session) -> None:
    session.run("cd 'my folder'")
    session.host.run("touch 'my folder/'$(printf 'a\\033[31mb')")
    assert session.run("ls") == "a?[31mb\n"
    assert session.run("ls -l a?*").endswith("  a?[31mb\n")


def test_stat_says_what_is_known(session: Session) -> None:
    session.host.run("chmod 640 'remote file'")
    lines = session.run("stat 'remote file'").splitlines()
    assert lines[0] == f"path      {session.there}/remote\\ file"
    assert lines[1] == "mode      -rw-r----- (640)"
    assert lines[3] == "size      10 bytes"
    assert "leads to  my\\ folder" in session.run("stat link").splitlines()
    assert "size      9 bytes" in session.run("lstat local*").splitlines()


def test_view_shows_text(session: Session) -> None:
    session.write("text", "one\ntwo é\n")
    assert session.run("view text 'remote file'") == "one\ntwo é\nfrom there\n"
    assert session.run("lview local*") == "from here\n"


def test_view_shows_a_large_text_whole(session: Session) -> None:
    text = "".join(f"line é {number}\n" for number in range(60_000))
    session.write("large", text)
    assert session.run("view large") == text


def test_view_refuses_what_is_no_text(session: Session) -> None:
    session.write("binary", b"\x7fELF\0\0")
    output = session.run("view binary 'my folder' 'remote file'").splitlines()
    assert f"cannot show {session.there}/binary: it is binary" in output[0]
    assert "Is a directory" in output[1]
    assert output[2] == "from there"
    assert session.status == 1


# Mistakes.


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("cd nowhere", 1, "nowhere: No such file"),
        ("cd 'remote file'", 1, "remote file: Not a directory"),
        ("cd *", 1, "* is 3 files; name one"),
        ("lcd nowhere", 1, "this machine: cannot enter "),
        ("ls *.txt", 1, "nothing matches *.txt in "),
        ("ls ''", 1, "an empty name is no file"),
        ("get nothing", 1, "nothing: No such file"),
        ("put nothing", 1, "nothing: No such file or directory"),
        ("get", 2, "usage: get [-r] FILE… [TARGET]"),
        ("get -x file", 2, "There is no option -x; usage: get [-r] FILE… [TARGET]"),
        ("pwd please", 2, "usage: pwd"),
        ("gte 'remote file'", 2, "There is no command 'gte'. Did you mean 'get'?"),
        ("mget *", 2, "There is no command 'mget'. Here, get does that."),
        ("help mget", 2, "There is no command 'mget'. Did you mean 'get'?"),
        ("lls ~nobody-at-all", 1, "this machine: there is no user 'nobody-at-all'"),
        ("ls ~nobody-at-all", 1, "there is no user 'nobody-at-all'"),
        ("get 'open", 2, "never closed"),
        ("chmod 9 'remote file'", 2, "'9' is no mode; write 644, or u+x"),
        ("chmod 600 nothing", 1, "nothing: No such file"),
        ("mkdir 'remote file'", 1, "remote file: File exists"),
        ("mkdir a/b/c", 1, "a/b/c: No such file"),
        ("mkdir -p 'remote file/a'", 1, "remote file/a: Not a directory"),
        ("mv nothing 'my folder'", 1, "my folder/nothing: No such file"),
        ("mv 'my folder' link 'remote file'", 1, "cannot move into "),
        ("rm nothing", 1, "nothing: No such file"),
        ("rm 'my folder'", 1, "it is a directory; rm -r removes those"),
        ("edit 'remote file'", 3, "edit needs a terminal"),
        ("ledit 'local'", 3, "ledit needs a terminal"),
        ("connect", 3, "connect needs a terminal"),
        ("lconnect", 3, "lconnect needs a terminal"),
        ("!", 3, "needs a terminal"),
        ("!exit 3", 1, "exit 3: exit status 3"),
    ],
)
def test_a_mistake_gets_one_line(session: Session, line: str, status: int, message: str) -> None:
    output = session.run(line)
    assert message in output
    assert output.count("\n") == 1
    assert session.status == status
    assert session.shell.remote.directory == session.there


def test_a_fault_is_no_traceback(session: Session) -> None:
    assert session.run("lls 'a\0b'").count("\n") == 1
    assert session.status == 1


def test_a_sandbox_has_no_such_shell() -> None:
    with pytest.raises(NodeUsageError, match="first is a sandbox"):
        ScpShell(HostContainer({"host": (first,)}, is_sandbox=True))


# Help.


def test_help_lists_all_commands(session: Session) -> None:
    output = session.run("help")
    for name, command in COMMANDS.items():
        assert name == "?" or f"  {command.usage}" in output
    assert session.run("?") == output


@pytest.mark.parametrize("host_class", [first])
@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_explained_and_exists(session: Session, name: str) -> None:
    output = session.run(f"help {name}")
    assert output.startswith(f"usage: {COMMANDS[name].usage}\n\n")
    assert max(map(len, output.splitlines())) < 80
    for letter in COMMANDS[name].options:
        assert f"\n  -{letter}  " in output
    # What is loaded only when it is used is there.
    too_many = " ".join(["--", *["x"] * ((COMMANDS[name].most or 0) + 1)])
    assert "usage:" in session.run(f"{name} {too_many}") or COMMANDS[name].most is None


def test_what_people_know_elsewhere_is_no_command_of_ours() -> None:
    assert not set(OTHER_NAMES) & set(COMMANDS)


# Completion.


@pytest.mark.parametrize(
    ("line", "completions"),
    [
        ("ge", ["get "]),
        ("help mk", ["mkdir "]),
        ("cd m", ["my\\ folder/"]),
        ("cd ", ["link/", "my\\ folder/"]),
        ("get ", ["link/", "my\\ folder/", "remote\\ file "]),
        ("get 'rem", ["'remote file' "]),
        ("get x ", ["local\\ \\'file\\' ", "my\\ folder/"]),
        ("get x rem", ["remote\\ file "]),
        ("put ", ["local\\ \\'file\\' ", "my\\ folder/"]),
        ("put .", [".hidden "]),
        ("put x lin", ["link/"]),
        ("put -", ["-r "]),
        ("rm -", ["-r ", "-f "]),
        ("put -r lo", ["local\\ \\'file\\' "]),
        ("put lo -", ["-r "]),
        ("put -- -", []),
        ("chmod ", []),
        ("chmod 644 re", ["remote\\ file "]),
        ("stat x y re", ["remote\\ file "]),
        ("edit x ", []),
        ("pwd ", []),
        ("!ls ", []),
        ("nothing ", []),
        ("ls nowhere/", []),
        ("ls ~nobody-at-all/", []),
    ],
)
def test_both_sides_complete(session: Session, line: str, completions: list[str]) -> None:
    assert session.complete(line) == completions


def test_odd_names_complete_to_words_that_stand_for_them(session: Session) -> None:
    names = ["-dash", "~tilde", "a*b", "q'u\"o", "back\\slash", "#x", "ü é"]
    session.run("cd 'my folder'")
    for name in names:
        session.write(f"my folder/{name}", name)
    completions = session.complete("view ")
    assert len(completions) == len(names)
    assert sorted(session.run(f"view {text}") for text in completions) == sorted(
        f"{name}\n" for name in names
    )


def test_names_that_cannot_be_typed_are_not_proposed(session: Session) -> None:
    session.write("my folder/line\nend")
    session.host.run("touch 'my folder/'$(printf 'latin\\351')")
    assert session.complete("view my\\ folder/") == []
    assert session.run("view my\\ folder/line?end") == "from there\n"


def test_a_list_is_kept_for_a_moment_and_forgotten_with_the_next_line(session: Session) -> None:
    assert session.complete("stat zz") == []
    session.write("zzz")
    assert session.complete("stat zz") == []
    session.run("pwd")
    assert session.complete("stat zz") == ["zzz "]


# Changing.


def test_directories_are_made(session: Session) -> None:
    session.run("mkdir one 'two words'", "mkdir -p a/b/c one")
    assert session.status == 0
    assert session.host.stat("a/b/c").is_dir and session.host.stat("two words").is_dir


def test_files_are_renamed_and_moved(session: Session) -> None:
    session.write("other", "other")
    session.run("mv 'remote file' renamed")
    assert session.read("renamed") == "from there"
    session.run("mv renamed oth* my\\ folder")
    assert session.host.listdir("my folder") == ["other", "renamed"]
    session.run("mv my\\ folder/other my\\ folder/renamed")
    assert session.read("my folder/renamed") == "other"


def test_of_several_files_all_others_are_moved(session: Session) -> None:
    session.write("other")
    output = session.run("mv nothing other 'my folder'")
    assert output.count("\n") == 1 and session.status == 1
    assert session.host.listdir("my folder") == ["other"]


@pytest.mark.parametrize(
    ("mode", "permissions"),
    [("600", 0o600), ("u+x", 0o744), ("+x", 0o755), ("go-r,u=rwx", 0o700), ("-w", 0o444)],
)
def test_permissions_are_changed(session: Session, mode: str, permissions: int) -> None:
    session.host.run("chmod 644 'remote file'")
    session.run(f"chmod {mode} rem*")
    assert session.host.stat("remote file").permissions == permissions


def test_files_are_removed(session: Session) -> None:
    session.write("a.log")
    session.write("b.log")
    session.run("rm *.log")
    assert session.host.listdir() == [".hidden", "link", "my folder", "remote file"]
    session.run("rm -f nothing *.log")
    assert session.status == 0


def test_a_symlink_goes_and_where_it_leads_stays(session: Session) -> None:
    session.write("my folder/kept")
    session.run("rm -r link/")
    assert not session.host.exists("link")
    assert session.read("my folder/kept") == "from there"


def test_directories_are_removed_with_all_that_is_in_them(session: Session) -> None:
    session.host.run("mkdir -p 'my folder/a/b' ; touch 'my folder/a/b/c' 'my folder/.d'")
    session.run("rm -r 'my folder'")
    assert session.status == 0
    assert not session.host.exists("my folder")


# Other programs.


def test_a_local_command_runs_in_the_local_directory(session: Session) -> None:
    assert session.run("!pwd; echo 'a  b' | cat", "  ! echo $((6*7))") == (
        f"{session.here}\na  b\n42\n"
    )


def test_a_local_command_does_not_read_the_script() -> None:
    result = run_script(SCRIPT, "scp", stdin="!cat\ncd /\npwd\n")
    assert result.stdout == "/\n"


# From outside.


def test_the_shell_opens_it_and_goes_on_after_it(tmp_path: Path) -> None:
    with run_in_terminal(
        SCRIPT, XDG_STATE_HOME=str(tmp_path / "state"), NO_COLOR="1", columns=200
    ) as screen:
        screen.wait_for("Tree >")
        screen.type("--scp\n")
        screen.wait_for(lambda lines: lines[-1].startswith("first:"))
        screen.type(f"cd {tmp_path}\n")
        screen.wait_for(f"first:{tmp_path} >")
        screen.type("get sta\t")
        screen.wait_for(f"first:{tmp_path} > get state/")
        screen.type("\x15exit\n")
        screen.wait_for(lambda lines: lines[-1] == "Tree >")
        # The history is the outer shell's again.
        screen.type("\x1b[A")
        screen.wait_for(lambda lines: lines[-1] == "Tree > --scp")


def test_an_array_is_asked_which_host(tmp_path: Path) -> None:
    with run_in_terminal(SCRIPT, "scp", "web", XDG_STATE_HOME=str(tmp_path)) as screen:
        screen.wait_for(lambda lines: lines[-1] == "Select a host of Tree.web:")
        screen.type("second\n")
        screen.wait_for(lambda lines: lines[-1].startswith("second:"))


def test_nobody_is_asked_which_host_without_a_terminal() -> None:
    result = run_script(SCRIPT, "scp", "web")
    assert "'Select a host of Tree.web' has no default" in result.stderr
    assert result.returncode == 3


def test_its_lines_may_be_a_script_that_stops_at_its_first_failure() -> None:
    result = run_script(SCRIPT, "scp", stdin="cd /\npwd\ncd nowhere-at-all\npwd\n")
    assert result.stdout == "/\n"
    assert "nowhere-at-all" in result.stderr
    assert result.returncode == 1


def test_exit_ends_a_script() -> None:
    result = run_script(SCRIPT, "scp", stdin="exit\npwd\n")
    assert (result.stdout, result.returncode) == ("", 0)


def test_it_is_loaded_when_it_is_opened_and_without_paramiko() -> None:
    program = (
        "import sys, deployer.shell; before = 'deployer.scp_shell' in sys.modules; "
        "import deployer.scp_shell; print(before, 'paramiko' in sys.modules)"
    )
    output = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert output == "False False\n"
