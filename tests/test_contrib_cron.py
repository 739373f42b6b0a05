"""Lines in a crontab, with the real crontab of a server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from deployer.contrib.nodes.cron import Crontab
from deployer.exceptions import ActionException, ExecCommandFailed
from deployer.host import LocalHost, SSHHost
from ready_made import Messages, node_on
from terminals import open_terminal
from waiting import until
from world import World

pytestmark = pytest.mark.machine

USER = "dasher"
OTHERS = "# of dasher\nMAILTO=\"\"\n\n  7 * * * *   echo 'a  b' \\% %x\n"
HOSTILE = "*/5 * * * * echo 'it'\"s $HOME `id` \\% -x # no comment"


@pytest.fixture(autouse=True)
def _crontabs(need_program: Callable[[str], str], world: World) -> Iterator[None]:
    need_program("crontab")
    yield
    for user in (USER, "deploy", "nosudo", "root"):
        world.run(["crontab", "-u", user, "-r"], check=False)


def crontab(world: World, user: str = USER) -> str:
    return world.run(["crontab", "-u", user, "-l"], check=False)


def test_lines_are_written_once_and_those_of_others_stay(
    world: World, admin_host: type[SSHHost]
) -> None:
    world.run(["crontab", "-u", USER, "-"], input=OTHERS)
    messages = Messages()
    node = node_on(
        admin_host,
        Crontab,
        logger=messages,
        name="site: (mail)",
        user=USER,
        entries=[HOSTILE, "@daily x"],
    )
    assert node.setup() == ("wrote site: (mail) in the crontab of dasher",)
    block = f"# begin of site: (mail)\n{HOSTILE}\n@daily x\n# end of site: (mail)\n"
    assert crontab(world) == node.show() == OTHERS + block
    found = ["stat", "-c", "%i %Z", f"/var/spool/cron/crontabs/{USER}"]
    before = world.run(found)
    assert not node.setup()
    assert world.run(found) == before

    # Where they are, and nowhere else.
    world.run(["crontab", "-u", USER, "-"], input=f"{OTHERS}{block}# after it\n")
    shorter = node_on(admin_host, Crontab, name="site: (mail)", user=USER, entries=["@daily y"])
    assert shorter.setup()
    assert crontab(world) == (
        f"{OTHERS}# begin of site: (mail)\n@daily y\n# end of site: (mail)\n# after it\n"
    )
    assert shorter.remove() == ("removed site: (mail) in the crontab of dasher",)
    assert crontab(world) == f"{OTHERS}# after it\n"
    assert not shorter.remove()
    assert len(messages.texts) == 1


def test_the_crontab_of_the_login_user_needs_no_sudo(world: World, ssh_host: type[SSHHost]) -> None:
    node = node_on(ssh_host, Crontab, name="mine", entries="@daily true")
    assert node.show() == ""
    assert node.setup() == ("wrote mine in the crontab of deploy",)
    assert "@daily true\n" in crontab(world, "deploy")


def test_who_is_named_as_the_login_user_needs_no_sudo(
    world: World, new_ssh_host: Callable[..., type[SSHHost]]
) -> None:
    node = node_on(new_ssh_host("nosudo"), Crontab, name="mine", user="nosudo", entries="@daily a")
    assert node.setup() == ("wrote mine in the crontab of nosudo",)
    assert node.remove() == ("removed mine in the crontab of nosudo",)


def test_what_a_start_up_file_prints_is_no_line_of_the_crontab(
    world: World, new_ssh_host: Callable[..., type[SSHHost]]
) -> None:
    world.run(["sh", "-c", "cp .bashrc kept; sed -i '1i echo \"# noise\"' .bashrc"], user="nosudo")
    try:
        node = node_on(new_ssh_host("nosudo"), Crontab, name="mine", entries="@daily true")
        assert node.setup()
        assert crontab(world, "nosudo") == "# begin of mine\n@daily true\n# end of mine\n"
        assert not node.setup()
    finally:
        world.run(["mv", "kept", ".bashrc"], user="nosudo")


def test_nobody_has_to_end_the_input_at_a_terminal(world: World, ssh_host: type[SSHHost]) -> None:
    with open_terminal() as terminal:
        attributes = {"name": "a", "user": USER, "entries": "@daily true"}
        node = node_on(ssh_host, Crontab, pty=terminal.pty, **attributes)
        thread = threading.Thread(target=node.setup, daemon=True)
        thread.start()
        until(lambda: not thread.is_alive())
    assert "@daily true\n" in crontab(world)


def test_a_last_line_without_an_end_gets_one(world: World, ssh_host: type[SSHHost]) -> None:
    script = 'printf "@daily first" >"$1" && chmod 600 "$1" && chown dasher:crontab "$1"'
    world.run(["sh", "-c", script, "sh", f"/var/spool/cron/crontabs/{USER}"])
    node = node_on(ssh_host, Crontab, name="a", user=USER, entries=["@daily second"])
    assert not node.remove()
    assert node.setup()
    assert crontab(world).startswith("@daily first\n# begin of a\n")


def test_what_cron_refuses_changes_nothing(world: World, ssh_host: type[SSHHost]) -> None:
    world.run(["crontab", "-u", USER, "-"], input=OTHERS)
    wrong = node_on(ssh_host, Crontab, name="mail", user=USER, entries=["61 * * * * true"])
    with pytest.raises(ActionException, match=r"bad minute") as caught:
        wrong.setup()
    assert isinstance(caught.value.inner_exception, ExecCommandFailed)
    assert crontab(world) == OTHERS
    # A crontab that cannot be read is not taken for one that is empty.
    with pytest.raises(ActionException, match="nobody-at-all"):
        node_on(ssh_host, Crontab, name="mail", user="nobody-at-all", entries=["@daily x"]).setup()


def test_a_sandbox_tells_what_it_would_write(world: World, ssh_host: type[SSHHost]) -> None:
    messages = Messages()
    node = node_on(
        ssh_host,
        Crontab,
        logger=messages,
        is_sandbox=True,
        name="mail",
        user=USER,
        entries=["@daily x"],
    )
    assert node.setup() == ("wrote mail in the crontab of dasher",)
    assert messages.texts[0].endswith("(sandbox)")
    assert crontab(world) == ""

    options = {"name": "mail", "user": "nobody-at-all", "entries": "@daily x"}
    stranger = node_on(ssh_host, Crontab, is_sandbox=True, **options)
    assert stranger.setup() == ("wrote mail in the crontab of nobody-at-all",)


@pytest.mark.parametrize("attributes", [{"entries": ["a\nb"]}, {"name": "a\n@daily x"}])
def test_what_is_more_than_a_line_is_refused(attributes: dict[str, object]) -> None:
    node = node_on(LocalHost, Crontab, **{"name": "mail", "entries": ["@daily x"], **attributes})
    with pytest.raises(ActionException, match="one line") as caught:
        node.setup()
    assert isinstance(caught.value.inner_exception, ValueError)
