"""Configuration files and templates: written once, as they should be, and shown without secrets."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.contrib.nodes.config import Config, JinjaTemplate, Template
from deployer.exceptions import (
    ActionException,
    DeployerException,
    NoInput,
    QueryException,
)
from deployer.failures import describe_failure
from deployer.host import LocalHost, SSHHost
from deployer.inspection import Inspector
from deployer.node import Env, Node
from deployer.query import Q
from deployer.secret import Secret
from ready_made import Messages, node_on, raising
from terminals import open_terminal
from world import World

pytestmark = pytest.mark.machine

NewHost = Callable[..., type[SSHHost]]
HOSTILE = '-it\'s a "$HOME" `id` \\ *\n(new)'


def config_at(path: object, content: object, **options: Any) -> Any:
    """Return a Config of this machine in an Env."""
    return node_on(LocalHost, Config, remote_path=str(path), content=content, **options)


@pytest.fixture
def folder(world: World) -> Iterator[str]:
    """A directory of root's in the world."""
    path = world.run(["mktemp", "-d", "/etc/config-XXXXXX"]).strip()
    world.run(["chmod", "755", path])
    yield path
    world.run(["rm", "-rf", path])


# On a real host, as root and by sudo.


def test_a_config_is_written_once(world: World, admin_host: type[SSHHost], folder: str) -> None:
    path = f"{folder}/{HOSTILE}"
    messages = Messages()
    options: dict[str, Any] = {"remote_path": path, "content": "Hällo\n", "use_sudo": True}
    config = node_on(admin_host, Config, logger=messages, **options)
    rehearsal = node_on(admin_host, Config, logger=messages, is_sandbox=True, **options)
    assert (config.exists(), config.changed(), config.current_content()) == (False, True, "")
    assert rehearsal.setup() == (f"wrote {path}",)
    assert world.run(["ls", folder]) == ""
    assert config.setup() == (f"wrote {path}",)
    assert messages.texts == [f"Remote | wrote {path}  (sandbox)", f"Remote | wrote {path}"]
    assert world.run(["cat", path]) == "Hällo\n"
    before = world.run(["stat", "-c", "%a %U:%G %i %y", path])
    assert before.startswith("644 root:root ")
    assert (config.setup(), rehearsal.setup()) == ((), ())
    assert (config.exists(), config.changed(), config.diff()) == (True, False, "")
    assert world.run(["stat", "-c", "%a %U:%G %i %y", path]) == before


def test_what_only_root_may_read_keeps_its_mode_owner_and_symlink(
    world: World, admin_host: type[SSHHost], folder: str
) -> None:
    world.run(["install", "-m", "600", "-o", "nopass", "/dev/null", f"{folder}/real"])
    world.run(["ln", "-s", "real", f"{folder}/link"])
    world.run(["chmod", "700", folder])
    options: dict[str, Any] = {"remote_path": f"{folder}/link", "use_sudo": True}
    config = node_on(admin_host, Config, content=b"\xff\0", **options)
    assert config.setup() == (f"wrote {folder}/link",)
    assert config.current_content() == "\udcff\0"
    assert world.run(["readlink", f"{folder}/link"]) == "real\n"
    assert world.run(["stat", "-c", "%a %U", f"{folder}/real"]) == "600 nopass\n"
    script = node_on(admin_host, Config, content=b"\xff\0", make_executable=True, **options)
    assert script.changed()
    assert script.diff() == "old mode 600\nnew mode 700\n"
    assert script.setup() == (f"set the mode of {folder}/link to 700",)
    assert (script.setup(), script.changed(), script.diff()) == ((), False, "")
    assert world.run(["stat", "-c", "%a %U", f"{folder}/real"]) == "700 nopass\n"


def test_what_holds_secrets_is_private_before_they_are_in_it(
    world: World, admin_host: type[SSHHost], folder: str
) -> None:
    path = f"{folder}/secret"
    secret = Secret("correct horse")
    config = node_on(
        admin_host,
        Config,
        remote_path=path,
        content=secret,
        use_sudo=True,
        mode=0o640,
        owner="root:nopass",
    )
    assert config.setup() == (f"wrote {path}",)
    assert (config.setup(), config.diff()) == ((), "")
    assert world.run(["stat", "-c", "%a %U:%G", path]) == "640 root:nopass\n"
    assert world.run(["cat", path]) == "correct horse"
    world.run(["sh", "-c", 'echo public >"$1"; chmod 644 "$1"; chown 0:0 "$1"', "sh", path])
    assert config.diff().splitlines()[:4] == [
        "old owner root:root",
        "new owner root:nopass",
        "old mode 644",
        "new mode 640",
    ]
    # In this order.
    assert config.setup() == (
        f"gave {path} to root:nopass",
        f"set the mode of {path} to 640",
        f"wrote {path}",
    )
    assert config.setup() == ()
    assert world.run(["stat", "-c", "%a %U:%G", path]) == "640 root:nopass\n"


def test_what_cannot_be_written_says_what_to_do(
    admin_host: type[SSHHost], new_ssh_host: NewHost, folder: str
) -> None:
    missing = node_on(
        admin_host, Config, remote_path=f"{folder}/none/motd", content="x", use_sudo=True
    )
    with raising(r"cannot write .*/none/motd: No such file.*its directory is not there"):
        missing.setup()
    for path in (f"{folder}/motd", "/root/motd"):
        config = node_on(new_ssh_host("deploy"), Config, remote_path=path, content="x")
        with raising(r"denied; with `use_sudo = True`, Env\(Site\.nested\) reads and writes it"):
            config.setup()


def test_root_follows_no_symlink_to_what_is_not_its_owners(
    world: World, admin_host: type[SSHHost], folder: str
) -> None:
    script = 'cd "$1"; echo old >theirs; echo old >own; chown dasher own . && ln -s "$2" link'
    options: dict[str, Any] = {"remote_path": f"{folder}/link", "use_sudo": True, "mode": 0o640}
    config = node_on(admin_host, Config, content="new\n", owner="dasher:4242", **options)
    for name in ("theirs", "own"):
        world.run(["sh", "-c", script, "sh", folder, name])
        world.run(["chown", "-h", "dasher", f"{folder}/link"])
        if name == "theirs":
            for attempt in (config.setup, config.setup):
                with pytest.raises(ActionException, match="a symlink that belongs to dasher"):
                    attempt()
            assert world.run(["stat", "-c", "%U", f"{folder}/theirs"]) == "root\n"
            world.run(["rm", f"{folder}/link"])
    assert config.setup()[-1] == f"wrote {folder}/link"
    assert world.run(["cat", f"{folder}/theirs", f"{folder}/own"]) == "old\nnew\n"


def test_a_group_may_have_a_blank_in_its_name(
    world: World, admin_host: type[SSHHost], folder: str
) -> None:
    world.run(
        ["sh", "-c", "cp -p /etc/group /etc/group.kept; echo 'two words:x:4242:' >>/etc/group"]
    )
    try:
        options = {"remote_path": f"{folder}/it", "content": "", "use_sudo": True}
        config = node_on(admin_host, Config, owner=":two words", **options)
        assert config.setup() == (f"wrote {folder}/it",)
        assert config.setup() == ()
    finally:
        world.run(["mv", "/etc/group.kept", "/etc/group"])


def test_what_is_replaced_is_kept_beside_it(
    world: World, admin_host: type[SSHHost], folder: str
) -> None:
    path = f"{folder}/{HOSTILE}"
    world.run(["install", "-m", "600", "-o", "nopass", "/dev/null", path])
    config = node_on(
        admin_host,
        Config,
        remote_path=path,
        content="new",
        use_sudo=True,
        always_backup_existing_config=True,
    )
    kept, wrote = config.setup()
    assert wrote == f"wrote {path}"
    assert config.setup() == ()
    copies = [kept.removeprefix(f"kept {path} as "), config.backup(), config.backup()]
    assert copies == sorted(set(copies))
    assert re.fullmatch(r"\.\d{8}T\d{6}\.\d{6}Z~", copies[0].removeprefix(path))
    assert [world.run(["cat", copy]) for copy in copies] == ["", "new", "new"]
    assert [world.run(["stat", "-c", "%a %U", copy]) for copy in copies] == ["600 nopass\n"] * 3
    world.run(["rm", path])
    assert config.backup() is None
    assert config.setup() == (f"wrote {path}",)


# What is the same on all hosts.


def test_a_config_is_written_when_it_differs(tmp_path: Path) -> None:
    path = tmp_path / "motd"
    path.write_text("Goodbye\r\n")
    path.chmod(0o604)
    config = config_at(path, "Hello\r\n")
    assert config.changed()
    config.setup()
    assert path.read_bytes() == b"Hello\r\n"
    assert path.stat().st_mode & 0o777 == 0o604
    assert not config.changed()


def test_an_empty_config_that_is_missing_is_written(tmp_path: Path) -> None:
    config = config_at(tmp_path / "empty", "")
    assert config.diff() == "new file\n"
    config.setup()
    assert (tmp_path / "empty").read_text() == ""


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({"make_executable": True}, 0o755),
        ({"make_executable": True, "mode": 0o640}, 0o750),
        ({"mode": 0o600}, 0o600),
        ({"mode": 0o4755, "owner": str(os.getuid())}, 0o4755),
    ],
)
def test_a_new_file_has_the_mode_that_is_wanted(
    tmp_path: Path, options: dict[str, Any], mode: int
) -> None:
    config = config_at(tmp_path / "script", "#!/bin/sh\n", **options)
    assert config.setup() == (f"wrote {tmp_path}/script",)
    assert (tmp_path / "script").stat().st_mode & 0o7777 == mode
    assert config.setup() == ()


def test_the_diff_shows_what_setup_would_change(tmp_path: Path) -> None:
    path = tmp_path / "motd"
    path.write_text("same\nold")
    assert config_at(path, "same\nnew").diff().splitlines() == [
        f"--- {path} on LocalHost",
        f"+++ {path}, new",
        "@@ -1,2 +1,2 @@",
        " same",
        "-old",
        "+new",
    ]
    assert config_at(path, "same\nold\n").diff().splitlines()[3:] == [
        " same",
        "-old",
        "\\ No newline at end of file",
        "+old",
    ]
    assert config_at(path, b"\0").diff() == (
        f"{path} on LocalHost and {path}, new are not text, and differ\n"
    )
    assert config_at(path, b"same\nold\xff").diff().endswith("-old\n+old\udcff\n")


def test_the_diff_has_colours_at_a_terminal_that_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "DEPLOYER_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    (tmp_path / "motd").write_text("old\n")
    with open_terminal() as terminal:
        config = config_at(tmp_path / "motd", "new\n", pty=terminal.pty)
        assert config.diff().splitlines()[3:] == ["\x1b[31m-old\x1b[0m", "\x1b[32m+new\x1b[0m"]
        monkeypatch.setenv("NO_COLOR", "1")
        assert config.diff().splitlines()[3:] == ["-old", "+new"]


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    secret = Secret("hunter2 and more")
    (tmp_path / "motd").write_text("password=old\n")
    config = config_at(tmp_path / "motd", Template("password=$word\n", word=secret))
    assert config.show() == config.show_new_config() == "password=***\n"
    assert config.diff().splitlines()[3:] == ["-password=***", "+password=***"]
    config.setup()
    assert (tmp_path / "motd").read_text() == "password=hunter2 and more\n"


SECRETS = {
    "new": Secret("hunter2 and more"),
    "key": Secret("-----BEGIN KEY-----\nabcdefghijkl\nnew\n-----END KEY-----"),
}


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        (
            '{"port": 80, "password": "former"}\n',
            '{"port": 80, "password": "$new"}\n',
            ['-{"port": 80, "password": "***', '+{"port": 80, "password": "***"}'],
        ),
        # The line has changed before it, too.
        (
            '{"port": 81, "password": "former"}\n',
            '{"port": 80, "password": "$new"}\n',
            ["-***", '+{"port": 80, "password": "***"}'],
        ),
        (
            "user = x\npassword = former\nport = 81\n",
            "user = x\npassword = $new\nport = 80\n",
            [" user = x", "-password = ***", "-***", "+password = ***", "+port = 80"],
        ),
        # Moved, and written in another way, so that no secret stands in its place.
        (
            "password=former\na\nb\n",
            "a\nb\npassword = $new\n",
            ["-***", " a", " b", "+password = ***"],
        ),
        # What stays in the file, or has nothing to do with it, is shown.
        (
            "workers = 1\na\nb\nc\npassword = former\n",
            "workers = 2\nb\nc\npassword = $new\na\n",
            [
                *("-workers = 1", "-a", "+workers = 2", " b", " c", "-password = ***"),
                *("+password = ***", "+a"),
            ],
        ),
        (
            "-----BEGIN KEY-----\nformer\n-----END KEY-----\n",
            "$key\n",
            [" ***", "-***", "+***", "+***", " ***"],
        ),
    ],
)
def test_the_diff_shows_no_old_secret(tmp_path: Path, old: str, new: str, shown: list[str]) -> None:
    (tmp_path / "file").write_text(old)
    content = Template(new, **{name: value for name, value in SECRETS.items() if f"${name}" in new})
    difference = config_at(tmp_path / "file", content).diff()
    assert difference.splitlines()[3:] == shown
    assert "former" not in difference


def test_show_gives_the_content_and_needs_no_host() -> None:
    assert config_at("/nowhere/motd", "Hello\n").show() == "Hello\n"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"content": None}, r"nested\)\.content is a NoneType; it has to be text, bytes"),
        (
            {"content": f"password={Secret('s3cr3t-t0ken')}\n"},
            r"nested\)\.content has 'Secret\(\*\*\*\)' in it; .*write \.reveal\(\)",
        ),
        ({"mode": 644}, r"nested\)\.mode is 644, .* write it as in 0o640"),
        ({"mode": "0644"}, r"mode is '0644'"),
        (
            {"remote_path": "/nowhere/motd"},
            r"LocalHost: cannot write /nowhere/motd: No such file or directory; its directory is "
            r"not there, and Env\(Site.nested\) does not make it",
        ),
        ({"remote_path": "/"}, r"LocalHost: cannot read /: Is a directory"),
    ],
)
def test_wrong_use_is_explained(tmp_path: Path, options: dict[str, Any], error: str) -> None:
    (tmp_path / "motd").touch()
    usual = {"remote_path": str(tmp_path / "motd"), "content": "x"}
    config = node_on(LocalHost, Config, **(usual | options))
    with pytest.raises(ActionException, match=error):
        config.setup()


def test_a_config_without_a_path_says_what_is_missing() -> None:
    config = node_on(LocalHost, Config, content="Hello\n")
    with pytest.raises(NotImplementedError, match=r"remote_path.*Where the file is"):
        _ = config.remote_path


# The editor.


def editor(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have an editor do what a shell script does to "$1"."""
    path = folder / "my editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("VISUAL", f"'{path}'")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))


def test_edit_writes_back_what_was_changed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "my file"
    path.write_bytes(b"\xff\r\n")
    editor(tmp_path, 'basename "$1"; printf "%s\\n" more >>"$1"', monkeypatch)
    with open_terminal() as terminal:
        config = config_at(path, "", pty=terminal.pty)
        assert config.edit() == (f"wrote {path}",)
        terminal.read_until("my file")
        assert path.read_bytes() == b"\xff\r\nmore\n"
        path.chmod(0o444)
        before = path.stat()
        editor(tmp_path, "true", monkeypatch)
        assert config.edit_in_vim() == ()
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert not list(tmp_path.glob("deployer-*"))


def test_edit_replaces_nothing_that_somebody_else_wrote_unless_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("one\n")
    editor(tmp_path, f"echo two >>\"$1\"; echo other >'{path}'", monkeypatch)
    with open_terminal() as terminal:
        config = config_at(path, "", pty=terminal.pty)
        terminal.type("n\n")
        with pytest.raises(ActionException, match="was changed meanwhile") as caught:
            config.edit()
        assert path.read_text() == "other\n"
        (kept,) = tmp_path.glob("deployer-edit-*/file")
        assert kept.read_text() == "one\ntwo\n"
        assert f"the text is kept in {kept}" in describe_failure(caught.value)
        editor(tmp_path, f"echo two >>\"$1\"; echo third >'{path}'", monkeypatch)
        terminal.type("y\n")
        assert config.edit() == (f"wrote {path}",)
        assert path.read_text() == "other\ntwo\n"


def test_an_editor_that_cannot_be_used_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("one\n")
    with pytest.raises(ActionException, match="no terminal") as caught:
        config_at(path, "").edit()
    assert isinstance(caught.value.inner_exception, NoInput)
    with open_terminal() as terminal:
        config = config_at(path, "", pty=terminal.pty)
        editor(tmp_path, 'echo two >"$1"; exit 3', monkeypatch)
        with pytest.raises(ActionException, match="ended with exit status 3"):
            config.edit()
        monkeypatch.setenv("VISUAL", "/nowhere/editor")
        with pytest.raises(ActionException, match=r"'/nowhere/editor' cannot be run"):
            config.edit()
    assert path.read_text() == "one\n"


# Templates.


def test_a_template_takes_values_and_queries_of_its_node(tmp_path: Path) -> None:
    class Site(Node):
        class Hosts:
            role = LocalHost

        domain = "example.com"
        port = 80

        class config(Config):
            remote_path = str(tmp_path / "site.conf")
            content = Template(
                "server_name $name;\nlisten ${port}0;\nurl $$host$after;\n",
                name=Q.parent.domain,
                port=Q.parent.port,
                after="",
            )

    config = Env(Site()).config
    assert config.content == "server_name example.com;\nlisten 800;\nurl $host;\n"
    assert config.setup() and not config.setup()
    assert Site().config.content == config.content
    # It is as good as any other query.
    assert repr(Inspector(config).get_query("content")) == (
        "Template('server_name $name;…', name=Q.parent.domain, port=Q.parent.port, after='')"
    )
    parts = Inspector(config).trace_query("content").walk_through_subqueries()
    assert [result for _, result in parts if result in ("example.com", 80)] == ["example.com", 80]

    class Other(Site):
        config__content = Q("%s!") % Template("$x", x=Q.parent.port)

    assert Env(Other()).config.content == "80!"


def test_a_template_may_be_in_a_file_beside_the_script(tmp_path: Path) -> None:
    script = tmp_path / "scripts" / "deploy.py"
    script.parent.mkdir()
    script.write_text(
        "from deployer.contrib.nodes.config import Config, JinjaTemplate, Template\n"
        "class plain(Config):\n"
        "    content = Template.from_file('a.conf', x='é')\n"
        "class jinja(Config):\n"
        "    content = JinjaTemplate.from_file('sub/b.conf', names=['x', 'y'])\n"
        "class missing(Config):\n"
        "    content = Template.from_file('no.conf')\n"
    )
    (script.parent / "sub").mkdir()
    (script.parent / "a.conf").write_bytes(b"$x\r\n")
    (script.parent / "sub" / "b.conf").write_text(
        "  {% for name in names %}\n{{ name }}\n  {% endfor %}\n{% include 'c.conf' %}\n"
    )
    (script.parent / "sub" / "c.conf").write_text("<{{ names|length }}>\n")
    namespace: dict[str, Any] = {}
    exec(compile(script.read_text(), str(script), "exec"), namespace)
    assert Env(namespace["plain"]()).content == "é\r\n"
    assert Env(namespace["jinja"]()).content == "x\ny\n<2>\n"
    query = Inspector(namespace["plain"]()).get_query("content")
    assert repr(query) == "Template.from_file('a.conf', x='é')"
    with pytest.raises(QueryException, match=rf"missing\)\.content = .*{script}, line 7.*no\.conf"):
        _ = Env(namespace["missing"]()).content
    (script.parent / "sub" / "c.conf").write_text("\n{{ nothing }}\n")
    with pytest.raises(QueryException, match=rf"{script.parent}/sub/c\.conf, line 2: .*'nothing'"):
        _ = Env(namespace["jinja"]()).content


@pytest.mark.parametrize(
    ("template", "error"),
    [
        (Template("a\n$b", x=1), r"the template, line 2: there is no value for 'b'; .*\$\$b"),
        (Template("a\n\n$ b"), r"the template, line 3: no name follows the \$; write \$\$"),
        (JinjaTemplate("a\n{{ b }}"), r"the template, line 2: UndefinedError: 'b' is undefined"),
        (JinjaTemplate("\n{{ x.y }}", x="s"), r"the template, line 2: .*no attribute 'y'"),
        (JinjaTemplate("a\n{% if %}"), r"the template, line 2: TemplateSyntaxError"),
        (JinjaTemplate("\n{% include 'z' %}"), r"the template, line 2: TemplateNotFound: .*z"),
        (Template("$b", b=Q.parent.nothing), r"Template\('\$b', b=Q\.parent\.nothing\)"),
    ],
)
def test_what_is_wrong_in_a_template_is_named(template: Any, error: str) -> None:
    config = config_at("/nowhere", template)
    with pytest.raises(QueryException, match=error) as caught:
        _ = config.content
    assert str(caught.value).startswith("Env(Site.nested).content = ")
    assert f"({__file__}, line " in str(caught.value)


def test_a_jinja_template_puts_in_secrets_and_escapes_nothing() -> None:
    secret = Secret("hunter2 <&>")
    text = "{{ word }} {{ node.word }}\n"
    template = JinjaTemplate(text, word=secret, node=Q.parent)

    class Site(Node):
        word = secret

        class config(Config):
            content = template

    assert Env(Site()).config.content == "hunter2 <&> hunter2 <&>\n"


def test_without_jinja2_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert config_at("/nowhere", Template("$x", x=1)).content == "1"
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(QueryException, match=r"pip install 'deployer\[jinja2\]'") as caught:
        _ = config_at("/nowhere", JinjaTemplate("")).content
    assert isinstance(caught.value.inner_exception, DeployerException)


def test_a_template_is_a_text() -> None:
    with pytest.raises(TypeError, match=r"Template\.from_file\(\) reads one"):
        Template(Path("a.conf"))  # type: ignore[arg-type]
