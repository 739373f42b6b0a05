"""A session in the shell: what its commands do beside walking and calling actions."""

from __future__ import annotations

import re

import pytest

from deployer.exceptions import Declined
from deployer.groups import production
from deployer.host import LocalHost
from deployer.node import Env, Node, ParallelNode, alias, changes_nothing
from deployer.pseudo_terminal import DummyPty
from deployer.shell import DeploymentShell
from deployer.shell.aliases import Aliases
from deployer.shell.builtins import BUILTINS
from deployer.shell.confirmation import confirm
from session_tree import SCRIPT, Site, web1, web2
from shell_session import Session
from terminals import Screen, open_terminal, run_in_terminal

pytestmark = pytest.mark.machine


@pytest.fixture
def session():
    return Session(Site, logs=True)


# Before something runs in production


def test_in_production_nothing_runs_unasked(session):
    output = session.run("prod deploy")
    assert output == (
        "No answer: Site.prod is in production, and nobody can be asked whether deploy is to run "
        "there; give -y to run it unasked\n"
    )
    assert session.status == 3


@pytest.mark.parametrize("line", ["prod.web name", "prod web:web1 name", "cd prod|--run true"])
def test_all_that_is_in_production_is_asked_about(session, line):
    assert "is in production, and nobody can be asked" in session.run(*line.split("|"))
    assert session.status == 3


def test_a_group_of_ones_own_may_ask_too(session):
    assert "Site.careful is in careful" in session.run("careful act")
    assert "acted" not in session.pty.get_output()


def test_elsewhere_nothing_is_asked(session):
    assert "deployed" in session.run("staging deploy")


def test_asking_can_be_switched_off(session):
    assert "deployed in production" in session.run("set-option confirm no", "prod deploy")
    assert session.status == 0
    session.run("set-option confirm yes", "prod deploy")
    assert session.status == 3


class Looked(Node):
    @alias("is.up")
    @changes_nothing
    def check(self):
        return "up"

    @changes_nothing
    def __call__(self):
        return "all up"

    @changes_nothing
    def recheck(self):
        self.restart()
        return "up again"

    def restart(self):
        self.console.pty.write("restarted\n")


class Overridden(Looked):
    def check(self):
        return "up, says the subclass"


class Looking(Node):
    class looked(production(Looked)):
        pass

    class overridden(production(Overridden)):
        pass


@pytest.mark.parametrize(
    ("line", "output"),
    [
        ("looked check", "up\n"),
        ("looked is.up", "up\n"),
        ("looked", "all up\n"),
        ("looked recheck", "restarted\nup again\n"),
    ],
)
def test_what_changes_nothing_is_not_asked_about(line, output):
    session = Session(Looking)
    assert session.run(line) == output
    assert session.status == 0


@pytest.mark.parametrize("line", ["looked restart", "overridden check", "overridden is.up"])
def test_what_may_change_something_is_asked_about(line):
    session = Session(Looking)
    assert "is in production, and nobody can be asked" in session.run(line)
    assert session.status == 3


@production
class Shop(Node):
    class web(ParallelNode.Array):
        class Hosts:
            host = LocalHost


class Shops(Node):
    class live(Shop):
        pass

    class farm(production(Shop.web)):
        pass


@pytest.mark.parametrize(
    ("find", "name"),
    [
        (lambda: Shops().live, "live"),
        (lambda: Shops().live.web, "live"),
        (lambda: Shops().live.web[0], "live"),
        (lambda: Shops().farm[0], "farm"),
        (lambda: Shop().web, "Shop"),
    ],
)
def test_what_is_to_be_typed_is_the_name_of_the_outermost_node_of_the_group(find, name):
    class AnsweringPty(DummyPty):
        is_interactive = True

    with pytest.raises(Declined, match=f": {name} was not typed"):
        confirm(Env(find(), AnsweringPty("something else\n")), "deploy")
    confirm(Env(find(), AnsweringPty(f"{name}\n")), "deploy")


def test_a_sandbox_asks_nothing(session):
    assert "(sandbox)" in session.run("sandbox prod deploy")
    assert session.status == 0


def test_a_wrong_call_is_not_asked_about(session):
    assert "too many positional arguments" in session.run("prod deploy now")
    assert session.status == 2


# Sandbox


def test_in_a_sandbox_commands_are_checked_and_nothing_changes(session, tmp_path):
    path = tmp_path / "file"
    output = session.run(f"sandbox touch {path}")
    assert f"db | open {path} (w)  (sandbox)\n" in output
    assert f"db | $ echo more >> '{path}'  (sandbox)\n" in output
    assert not path.exists()
    session.run(f"touch {path}")
    assert path.read_text() == "touchedmore\n"


def test_a_sandbox_can_be_stayed_in(session, tmp_path):
    path = tmp_path / "file"
    session.run("set-option sandbox yes", f"touch {path}")
    assert not path.exists()
    assert "sandbox" in session.shell.get_prompt()
    session.run("set-option sandbox no", f"touch {path}")
    assert path.exists()


def test_a_command_that_is_wrong_is_found_in_a_sandbox(session):
    assert "unexpected EOF" in session.run('sandbox touch "it\'s"')
    assert session.status == 1


def test_sandbox_alone_says_what_it_takes(session):
    assert session.run("sandbox") == "sandbox takes the name of an action, with its arguments\n"


# Options


def test_options_are_listed(session):
    output = session.run("show-options")
    assert re.search(r"^confirm = yes +ask before something runs in production$", output, re.M)
    assert re.search(r"^hosts = all ", output, re.M)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("set-option hosts web1,db", "hosts = web1,db"),
        ("set-option hosts=!web2", "hosts = !web2"),
        ("set-option parallel 3", "parallel = 3"),
        ("set-option fail-fast yes", "fail-fast = yes"),
        ("set-option retries 2", "retries = 2"),
        ("set-option output gather", "output = gather"),
        ("set-option outdir /tmp/x", "outdir = /tmp/x"),
    ],
)
def test_an_option_is_set(session, line, shown):
    assert session.run(line) == ""
    assert f"{shown} " in session.run("show-options")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("set-option", "set-option takes a name and a value; show-options lists them"),
        ("set-option hots web1", "There is no option 'hots'. Did you mean 'hosts'?"),
        ("set-option hosts wbe1", "hosts: no host of Site goes by 'wbe1'; did you mean 'web1'?"),
        ("set-option parallel none", "parallel: it has to be a whole number, not 'none'"),
        ("set-option parallel 0", "parallel: it has to be a whole number from 1, not '0'"),
        ("set-option retries -1", "retries: it has to be a whole number from 0, not '-1'"),
        ("set-option confirm maybe", "confirm: it has to be yes or no, not 'maybe'"),
        ("set-option output loud", "output: it has to be one of auto, live, stream"),
    ],
)
def test_a_wrong_option_gets_one_line(session, line, message):
    output = session.run(line)
    assert message in output
    assert output.count("\n") == 1
    assert session.status == 2


def test_hosts_narrow_what_runs_wherever_one_goes(session):
    session.run("set-option confirm no", "set-option hosts web2", "cd prod")
    output = session.run("deploy")
    assert "web2" in output
    assert "web1" not in output
    session.run("set-option hosts all")
    assert "web1" in session.run("deploy")


def test_options_hold_after_a_sub_shell(session):
    session.run("set-option parallel 3", "cd git", "cd -")
    assert "parallel = 3 " in session.run("show-options")


# Commands


def test_results_of_several_lines_stand_below_the_names_of_their_hosts():
    class Farm(Node):
        class web(ParallelNode.Array):
            class Hosts:
                host = (web1, web2)

            def releases(self):
                return "v1\nv2\n" if self.host.slug == "web1" else "v1"

    assert Session(Farm).run("web.releases") == "web1:\n    v1\n    v2\nweb2: v1\n"


def test_what_cells_say_that_a_parameter_can_be_is_all_that_any_of_them_says():
    class Farm(Node):
        class web(ParallelNode.Array):
            class Hosts:
                host = (web1, web2)

            def activate(self, release):
                pass

            def complete_release(self):
                return self.releases()

            def releases(self):
                return {"v1": "the first", self.host.slug: "of this host"}

    found = Session(Farm).complete("web.activate ")
    assert found == ["v1 ", "web1 ", "web2 ", "release="]


def test_results_read_as_they_say_themselves(session):
    assert session.run("notes tag v3", "notes tag all") == "tag v3\ntag v1\ntag v2\n"


def test_what_is_for_a_with_block_says_so(session):
    assert "it is for a `with` block" in session.run("notes lock")
    assert session.status == 1


def test_a_node_that_is_called_has_its_own_name_and_no_hooks(tmp_path):
    assert "complete_name" not in Session(Site).run("ls notes.tag")
    with open_terminal() as terminal:
        shell = DeploymentShell(Env(Site(), terminal.pty))
        shell.run_line("notes tag v3")
        assert "tag: done" in terminal.read_until("done")


def test_a_command_runs_on_the_hosts_of_the_node(session):
    output = session.run("cd staging", "--run 'echo $((40 + 2))'")
    assert output.endswith("web1 | $ echo $((40 + 2))\n42\n")
    assert session.status == 0


def test_words_are_joined_as_ssh_does(session):
    assert session.run("cd staging", "--run echo  a   b").endswith("\na b\n")


def test_a_command_that_fails_has_a_card_and_a_status(session):
    output = session.run("cd staging", "--run exit 3")
    assert "Command failed\n  host     web1\n  command  exit 3\n  status   3\n" in output
    assert session.status == 1


def test_of_a_script_that_fails_the_log_line_and_the_card_have_the_first_line():
    class Broken(Node):
        class Hosts:
            host = web1

        def go(self):
            self.host.run("""
                set -e
                false
                true
            """)

    log_line, *rest = Session(Broken, logs=True).run("go").splitlines()
    assert log_line == "web1 | $ set -e … (2 more lines)"
    assert "  command  set -e … (2 more lines)" in rest


def test_a_command_without_hosts_to_run_on_says_so(session):
    session.run("cd prod web", "set-option hosts db")
    output = session.run("--run true")
    assert output.endswith("is among --hosts db\n")
    assert session.status == 2


def test_nodes_that_have_hosts_are_named_where_one_has_none():
    class Root(Node):
        class group(Node):
            class web(Node):
                class Hosts:
                    host = web1

        class empty(Node):
            pass

    session = Session(Root)
    for line in ("--run true", "--connect", "--scp", "--run-with-sudo"):
        assert session.run(line) == "Root has no hosts of its own; group.web has some\n"
        assert session.status == 2


def test_an_action_that_no_host_is_left_for_is_not_run(session):
    session.run("set-option hosts db")
    output = session.run("prod web name")
    assert output.startswith("none of the hosts of Site.prod.web (")
    assert session.status == 2


def test_nobody_to_ask_for_a_command_is_an_error(session):
    assert "'Command to run' has no default" in session.run("--run")
    assert session.status == 3


def test_connecting_needs_a_terminal(session):
    assert "a shell on db needs a terminal, and there is none" in session.run("--connect")
    assert session.status == 3


def test_a_command_of_this_machine_is_run_here(tmp_path):
    with open_terminal() as terminal:
        shell = DeploymentShell(Env(Site(), terminal.pty))
        assert shell.run_line("  !echo 'it'\"'\"'s' $((1 + 1)) | tr a-z A-Z") == 0
        terminal.read_until("IT'S 2")
        assert shell.run_line("!exit 3") == 1
        terminal.read_until("exit status 3")
        assert shell.run_line("!") == 2


# Aliases


def test_an_alias_stands_for_the_beginning_of_a_line(session):
    assert session.run("alias co='git checkout'") == ""
    assert "at v1" in session.run("co v1 force=yes")
    assert session.run("alias co") == "co  git checkout\n"
    assert session.run("alias") == "co  git checkout\n"


def test_an_alias_may_have_words_that_are_quoted(session):
    session.run("alias h=\"hello 'a b'\"")
    assert session.run("alias") == "h  hello 'a b'\n"
    assert session.shell._expand_aliases("h x") == "hello 'a b' x"


def test_an_alias_within_itself_is_the_command(session):
    session.run("alias hello='hello name=me'")
    assert session.shell._expand_aliases("hello") == "hello name=me"


def test_an_alias_is_removed(session):
    session.run("alias co='git checkout'", "alias co=")
    assert session.run("alias") == ""
    assert "There is no alias 'co'" in session.run("alias co")


@pytest.mark.parametrize("name", ["cd", "exit", "'a b'", "!x", ""])
def test_a_command_or_no_word_cannot_be_an_alias(session, name):
    session.run(f"alias {name}=hello")
    assert session.status == 2


def open_screen(folder):
    return run_in_terminal(SCRIPT, XDG_STATE_HOME=str(folder), NO_COLOR="1")


def test_aliases_are_kept_for_the_project(tmp_path):
    with open_screen(tmp_path) as screen:
        screen.wait_for("Site >")
        run_line(screen, "alias h='hello name=me'")
        run_line(screen, "alias x=hello")
        run_line(screen, "alias x=")
    with open_screen(tmp_path) as screen:
        screen.wait_for("Site >")
        assert run_line(screen, "h")[0] == "Hello, me"
        assert run_line(screen, "alias") == ["h  hello name=me"]


def test_two_shells_keep_each_other_s_aliases(tmp_path):
    file = tmp_path / "folder" / "aliases"
    warnings = []
    one, two = (Aliases(str(file), warnings.append) for _ in range(2))
    one.change("a", "hello a")
    two.change("b", "hello b=c")
    one.change("c", "hello c")
    assert one == {"a": "hello a", "b": "hello b=c", "c": "hello c"}
    assert oct(file.stat().st_mode)[-3:] == "600"
    assert [path.name for path in file.parent.iterdir()] == ["aliases"]
    assert warnings == []


def test_aliases_that_cannot_be_kept_cost_a_warning(tmp_path):
    warnings = []
    (tmp_path / "file").touch()
    aliases = Aliases(str(tmp_path / "file" / "aliases"), warnings.append)
    aliases.change("a", "hello a")
    aliases.change("b", "hello b")
    assert aliases == {"a": "hello a", "b": "hello b"}
    (warning,) = warnings
    assert "kept until the shell is left" in warning


def test_aliases_are_completed(session):
    session.run("alias deploy='staging deploy'")
    assert session.complete("dep") == ["deploy "]


# Advice


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("deploy", "Elsewhere there is / staging.deploy and / prod.deploy."),
        ("web.name", "Elsewhere there is / prod.web.name."),
        ("cd web", "Elsewhere there is / prod.web."),
        ("help checkout", "Elsewhere there is / git.checkout."),
        ("--inspect checkout", "Elsewhere there is / git.checkout."),
        ("say good bye", "Quote the name of an action with blanks: say\\ good"),
        ("say", "Quote the name of an action with blanks: say\\ good"),
        ("help say good", "Quote the name of an action with blanks: say\\ good"),
        ("motto", "'motto' is a property of Site, and no node or action; --inspect motto shows it"),
        ("cd motto", "'motto' is a property of Site, and no node or action"),
        ("helo", "Did you mean 'hello'"),
        ("histroy", "Did you mean 'history'?"),
    ],
)
def test_a_name_that_is_not_here_is_found_elsewhere(session, line, advice):
    output = session.run(line)
    assert advice in output
    assert output.count("\n") == 1


def test_a_name_that_was_typed_is_not_advised(session):
    assert "Did you mean" not in session.run("alias xy='xy 1'", "xy")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("git level low nope=1", "not 'nope=1'; there is no parameter 'nope'\n"),
        ("git checkout a no x forec=1", "arguments; there is no parameter 'forec'. Did you mean"),
        ("git checkout a x=1", "force has to be yes or no, not 'x=1'; there is no parameter 'x'"),
    ],
)
def test_a_parameter_that_there_is_not_is_named_where_its_word_does_not_fit(session, line, message):
    assert message in session.run(line)


def test_what_is_advised_can_be_typed(session):
    assert "deployed" in session.run("cd git", "/ staging.deploy")


# Completing values


@pytest.mark.parametrize(
    ("line", "completions"),
    [
        ("git checkout ", ["main ", "v1.0 ", "commit=", "force="]),
        ("git checkout v", ["v1.0 "]),
        ("git checkout commit=", ["commit=main ", "commit=v1.0 "]),
        ("git checkout force=yes v", ["v1.0 "]),
        ("git level h", ["high "]),
        ("git level low ", ["fast ", "slow ", "mode=", "path=", "tags="]),
        ("git level low mode=s", ["mode=slow "]),
        ("git level low tags=low,", ["tags=low,high"]),
        ("git level low tags=", ["tags=low", "tags=high"]),
        ("git complete x", ["x1 ", "x2 "]),
        ("git complete_", ["complete_commit ", "complete_name ", "complete_what "][:0]),
        ("git ", ["checkout ", "level ", "complete ", "broken "]),
        ("sandbox git che", ["checkout "]),
        ("sandbox git checkout m", ["main "]),
        ("set-option pa", ["parallel "]),
        ("set-option confirm ", ["yes ", "no "]),
        ("set-option output ga", ["gather "]),
        ("--connect --", ["--sudo "]),
        ("--connect st", ["staging "]),
        ("ls -", ["-l "]),
        ("prod.web:w", ["prod.web:web1 ", "prod.web:web2 "]),
    ],
)
def test_values_are_completed(session, line, completions):
    assert session.complete(line) == completions


def test_values_have_the_help_that_the_node_gives(session):
    completions = session.shell.complete("git checkout ", 13)
    assert [(c.display, c.help) for c in completions[:2]] == [
        ("main", "the default branch"),
        ("v1.0", "a release"),
    ]


def test_what_is_wrong_with_a_node_s_values_is_said(session):
    with pytest.raises(ValueError, match="no values today"):
        session.shell.complete("git broken ", 11)


def test_paths_are_completed(session, tmp_path, monkeypatch):
    (tmp_path / "a dir").mkdir()
    (tmp_path / "a file").touch()
    (tmp_path / ".hidden").touch()
    monkeypatch.chdir(tmp_path)
    assert session.complete("git level low path=a") == ["path=a\\ dir/", "path=a\\ file "]
    assert session.complete("git level low path=.h") == ["path=.hidden "]
    assert session.complete(f"git level low path={tmp_path}/'a d") == [f"path={tmp_path}/a\\ dir/"]


def test_nodes_have_the_colour_of_their_group(session):
    colours = {c.display: c.colour for c in session.shell.complete("cd ", 3)}
    assert colours == {"git": "", "notes": "", "staging": "yellow", "prod": "red", "careful": ""}


def test_every_command_is_there():
    for name, builtin in BUILTINS.items():
        module, _, function = builtin.function.partition(".")
        found = __import__(f"deployer.shell.builtins.{module}", fromlist=[function])
        assert callable(getattr(found, function)), name


# At a terminal


@pytest.fixture
def screen(tmp_path):
    with run_in_terminal(
        SCRIPT, columns=100, rows=40, XDG_STATE_HOME=str(tmp_path), NO_COLOR="1"
    ) as screen:
        screen.wait_for("Site >")
        yield screen


def run_line(screen: Screen, line: str, prompt: str = "Site >") -> list[str]:
    """Type a line, and return what is between it and the next prompt."""

    def list_prompts(lines: list[str]) -> list[int]:
        return [n for n, each in enumerate(lines) if re.match(r"Site[^ ]*( ✗)? >( |$)", each)]

    before = len(list_prompts(screen.lines))
    screen.type(f"{line}\n")
    lines = screen.wait_for(lambda lines: len(list_prompts(lines)) > before and lines[-1] == prompt)
    return lines[list_prompts(lines)[-2] + 1 : -1]


def test_each_action_is_summed_up(screen):
    *output, summary = run_line(screen, "git checkout v1")
    assert output == ["db | $ echo at v1", "at v1"]
    assert re.fullmatch(r"checkout: done in \d\.\ds on db", summary)
    (output, summary) = run_line(screen, "hello")
    assert (output, summary) == ("Hello, world", "hello: done in 0.0s")


def test_an_array_of_one_host_is_summed_up_like_a_single_host(screen):
    run_line(screen, "set-option confirm no")
    run_line(screen, "set-option hosts web1")
    output, summary = run_line(screen, "prod web name")
    assert output == "this is web1"
    assert re.fullmatch(r"name: done in \d\.\ds", summary)


def test_an_array_of_one_host_that_somebody_watches_is_summed_up_once(screen):
    run_line(screen, "set-option confirm no")
    run_line(screen, "set-option hosts web1")
    run_line(screen, "set-option output gather")
    lines = run_line(screen, "prod web name")
    assert not [line for line in lines if line.startswith("name: done")]


def test_the_name_of_the_only_parameter_is_shown_and_not_put_in(screen):
    screen.type("hello \t")
    screen.wait_for(lambda lines: lines[-2:] == ["name=  world if not given", "Site > hello"])
    screen.type("you\n")
    # A key that comes before the prompt completes nothing.
    screen.wait_for(lambda lines: "Hello, you" in lines and lines[-1] == "Site >")
    screen.type("hello n\t")
    screen.wait_for(lambda lines: lines[-1] == "Site > hello name=")


def test_the_summary_has_a_line_of_its_own(screen):
    output, summary = run_line(screen, "cut")
    assert output == "no end"
    assert summary.startswith("cut: done in")


def test_who_gets_to_a_sub_shell_is_told_the_way_back(screen):
    hint, _ = run_line(screen, "to_git", "Site.git >")
    assert hint == "In a sub-shell at Site.git: return goes back"
    assert run_line(screen, "return") == []


def test_that_nothing_is_found_is_said(screen):
    (line,) = run_line(screen, "find nowhere", "Site ✗ >")
    assert line == "Nothing below has 'nowhere' in its name or in what is said of it"


def test_the_summary_comes_after_the_result(screen):
    result, summary = run_line(screen, "git level low")
    assert result == "Level.low fast None None"
    assert summary.startswith("level: done in")


def test_a_sandbox_is_summed_up(screen):
    summary = run_line(screen, "sandbox git checkout v1")[-1]
    assert re.fullmatch(
        r"checkout: done in .* on db; a sandbox: 1 command checked, and nothing was changed",
        summary,
    )


def test_a_failure_is_seen_in_the_prompt_until_something_succeeds(screen):
    screen.type("fail\n")
    screen.wait_for(lambda lines: "[A]bort" in lines[-1])
    screen.type("a\n")
    lines = screen.wait_for(lambda lines: lines[-1] == "Site ✗ >")
    assert re.fullmatch(r"fail: failed after .*s on db", lines[-2])
    assert run_line(screen, "", "Site ✗ >") == []
    run_line(screen, "hello")


def test_in_production_the_name_of_the_production_is_to_be_typed(screen):
    screen.type("prod web name\n")
    screen.wait_for(
        "Warning: Site.prod.web is in production. name is about to run there, on web[1-2] (2)."
    )
    screen.wait_for(lambda lines: lines[-1] == "Type prod to go on, anything else to stop:")
    screen.type("prod\n")
    screen.wait_for("  this is web1")
    screen.wait_for("Site >")


def test_another_answer_declines(screen):
    screen.type("prod deploy\n")
    screen.wait_for(lambda lines: lines[-1] == "Type prod to go on, anything else to stop:")
    screen.type("yes\n")
    screen.wait_for("Declined: deploy was not run on Site.prod: prod was not typed")
    screen.wait_for("Site ✗ >")


def test_the_last_output_is_shown_again(screen, monkeypatch):
    run_line(screen, "git checkout v7")
    assert run_line(screen, "last") == ["db | $ echo at v7", "at v7"]
    run_line(screen, "hello again")
    assert run_line(screen, "last") == ["Hello, again"]


def test_the_last_output_of_one_host_is_shown_again(screen):
    run_line(screen, "set-option confirm no")
    run_line(screen, "prod web name")
    assert run_line(screen, "last web2") == ["this is web2"]
    assert run_line(screen, "last") == ["web1:", "  this is web1", "web2:", "  this is web2"]
    screen.type("last wbe1\n")
    screen.wait_for(lambda lines: any("Did you mean 'web1'" in line for line in lines))


def test_a_failure_within_an_array_is_found_in_the_last_output(screen):
    run_line(screen, "set-option confirm no")
    run_line(screen, "prod web half", "Site ✗ >")
    command, output, end = run_line(screen, "last web2")
    assert (command, output) == ("$ echo oops >&2; exit 3", "oops")
    assert end.startswith("exit status 3 ")


def test_the_history_is_listed(screen):
    run_line(screen, "hello one")
    run_line(screen, "hello two")
    assert run_line(screen, "history hello") == [
        "1  hello one",
        "2  hello two",
        "3  history hello",
    ]


def test_a_line_is_composed_in_the_editor(tmp_path):
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nprintf 'hello one\\n\\nhello two\\n' >> \"$1\"\n")
    editor.chmod(0o700)
    with run_in_terminal(
        SCRIPT, XDG_STATE_HOME=str(tmp_path), NO_COLOR="1", EDITOR=str(editor)
    ) as screen:
        screen.wait_for("Site >")
        lines = run_line(screen, "edit hello zero")
        said = [line for line in lines if line.startswith("Hello")]
        assert said == ["Hello, zero", "Hello, one", "Hello, two"]
        # They are there to be changed and run again, as if they had been typed.
        assert run_line(screen, "history two")[0] == "4  hello two"


def test_an_editor_that_is_not_there_is_one_line(tmp_path):
    with run_in_terminal(
        SCRIPT, XDG_STATE_HOME=str(tmp_path), NO_COLOR="1", EDITOR="/no/such/editor", VISUAL=""
    ) as screen:
        screen.wait_for("Site >")
        text = "".join(run_line(screen, "edit", "Site ✗ >"))
    assert text.startswith("the editor '/no/such/editor' cannot be run")


def test_a_command_is_asked_for(screen):
    screen.type("cd git\n")
    screen.wait_for("Site.git >")
    screen.type("--run\n")
    screen.wait_for("Command to run:")
    screen.type("echo $((40 + 2))\n")
    screen.wait_for("Site.git >")


@pytest.fixture
def connecting(tmp_path):
    """A session in which the prompt of a shell on a host is ``there$``."""
    (tmp_path / ".bashrc").write_text("PS1='there$ '\n")
    home = str(tmp_path)
    with run_in_terminal(SCRIPT, HOME=home, XDG_STATE_HOME=home, NO_COLOR="1") as screen:
        screen.wait_for("Site >")
        yield screen


def test_one_connects_to_the_host_of_a_node(connecting):
    screen = connecting
    screen.type("--connect staging\n")
    screen.wait_for("there$")
    screen.type("echo $((40 + 2))\n")
    screen.wait_for("42")
    screen.type("exit\n")
    screen.wait_for("Site >")


def test_of_several_hosts_one_is_chosen_to_connect_to(connecting):
    screen = connecting
    screen.type("--connect prod\n")
    screen.wait_for("Select a host of Site.prod:")
    screen.type("2\n")
    screen.wait_for(lambda lines: "web2 | $ exec" in "\n".join(lines) and lines[-1] == "there$")
    screen.type("exit\n")
    screen.wait_for("Site >")


def test_the_screen_is_cleared(screen):
    run_line(screen, "hello")
    screen.type("clear\n")
    screen.wait_for(lambda lines: lines == ["Site >"])


def test_the_place_is_kept_when_options_change(screen):
    screen.type("cd prod web\n")
    screen.wait_for("Site.prod.web (2) >")
    screen.type("set-option hosts web1\n")
    screen.wait_for("Site.prod.web >")
