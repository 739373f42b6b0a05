"""Releases: built aside, switched in one step, kept, gone back to, and cleaned up."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from deployer.contrib.nodes.release import Release
from deployer.exceptions import ActionException, DeployerException, LockHeld
from deployer.host import Host, LocalHost
from deployer.node import Env, Node, ParallelNode
from deployer.shell.hooks import list_hook_values
from ready_made import Answering, Messages, node_on
from world import World

pytestmark = pytest.mark.machine


class Site(Release):
    """Releases of a file that says which one it is; what is in `failing` fails."""

    failing: Any = ()

    def build(self, directory: str) -> None:
        self.host.run(
            f"cd {shlex.quote(directory)} && mkdir media && echo seed >media/a && echo it >version",
            use_sudo=self.use_sudo,
        )
        self._fail("build")

    def check(self, directory: str) -> None:
        self.host.run(f"test -f {shlex.quote(directory)}/version", use_sudo=self.use_sudo)
        self._fail("check")

    def activated(self, directory: str) -> None:
        self._fail("activated")

    def _fail(self, what: str) -> None:
        if what in self.failing:
            raise ZeroDivisionError(f"{what} is broken")


def site_at(path: object, host: type[Host] = LocalHost, **options: Any) -> Any:
    return node_on(host, Site, path=str(path), **options)


def names(site: Any) -> list[str]:
    """Return the releases; the current one with a star, the good ones with a plus."""
    return [
        release.name + "*" * release.is_current + "+" * release.is_good
        for release in site.releases()
    ]


def tree(root: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in [root, *root.rglob("*")]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "it's a $HOME\n-site"


# On a real host.


def test_a_site_is_released_rolled_back_and_cleaned_up(
    admin_host: type[Host], world: World
) -> None:
    path = f"/var/site-of-{admin_host.get_username()}"
    messages = Messages()
    site = site_at(path, admin_host, logger=messages, use_sudo=True, shared=["media/", ".env"])

    assert site.setup() == (f"made {path}/releases", f"made {path}/shared")
    assert site.setup() == ()
    world.run(["mkdir", f"{path}/releases/v0"])
    world.run(["touch", f"{path}/releases/.v0.partial"])
    assert site.deploy("v1") == (
        f"removed {path}/releases/v0",
        f"made {path}/shared/media",
        f"made {path}/shared/.env",
        f"built {path}/releases/v1",
        f"switched {path}/current to v1",
    )
    assert world.run(["cat", f"{path}/current/media/a", f"{path}/current/.env"]) == "seed\n"
    site.deploy("v2")
    assert site.rollback() == (f"switched {path}/current to v1",)
    assert f"{admin_host.slug} | switched {path}/current to v1" in messages.texts

    # The lock is in the directory itself, whose time changes.
    look = ["find", path, "-mindepth", "1", "-printf", "%p %T@ %i %l %U\\n"]
    before = world.run(look)
    assert (site.rollback("v1"), site.activate("v1"), site.cleanup()) == ((), (), ())
    assert world.run(look) == before
    assert {line.split()[-1] for line in before.splitlines()} == {"0"}


def test_a_local_directory_is_what_is_released(
    host_class: type[Host], tmp_path: Path, world: World
) -> None:
    (tmp_path / "build").mkdir(mode=0o755)
    (tmp_path / "build" / "index.html").write_text("Hello\n")
    home = host_class().get_home_directory()
    path = "~/releases-of-the-test"
    site = node_on(host_class, Release, path=path, source=str(tmp_path / "build"))
    try:
        assert f"made {home}/releases-of-the-test/releases" in site.deploy()
        name = site.current()
        assert re.fullmatch(r"\d{14}", name)
        assert host_class().run(f"cd {path}/current && cat index.html && pwd -P") == (
            f"Hello\n{home}/releases-of-the-test/releases/{name}\n"
        )
        # Within the same second, as like as not.
        site.deploy()
        assert site.current() > name
    finally:
        host_class().run(f"rm -rf {path}")


# What is current, and what is good.


def test_the_path_is_literal_and_the_link_can_be_moved_with_it(root: Path) -> None:
    site = site_at(root, shared=["media/", "conf/a b's.py"])
    site.deploy("v1")
    moved = root.rename(root.with_name("moved"))
    assert (moved / "current" / "version").read_text() == "it\n"
    assert (moved / "current").resolve() == moved / "releases" / "v1"
    assert (moved / "current" / "conf" / "a b's.py").resolve() == moved / "shared/conf/a b's.py"
    assert (moved / "current" / "media" / "a").resolve() == moved / "shared/media/a"
    assert not (moved / "deploy.lock").exists()


def test_what_is_shared_outlives_a_release(root: Path) -> None:
    site = site_at(root, shared=["media/", "version"])
    site.deploy("v1")
    (root / "current" / "media" / "a").write_text("uploaded\n")
    (root / "current" / "version").write_text("edited\n")
    site.deploy("v2")
    assert (root / "releases" / "v2" / "media" / "a").read_text() == "uploaded\n"
    assert (root / "releases" / "v2" / "version").read_text() == "edited\n"


def test_a_link_to_what_is_not_mounted_stays_among_what_is_shared(root: Path) -> None:
    (root / "shared").mkdir(parents=True)
    for name in ("media", "settings"):
        (root / "shared" / name).symlink_to("/not/mounted")
    changes = site_at(root, shared=["media/", "settings"]).deploy("v1")
    assert not [change for change in changes if change.startswith(f"made {root}/shared/")]
    assert (root / "shared" / "media").is_symlink()
    assert (root / "shared" / "settings").is_symlink()
    assert (root / "releases" / "v1" / "media").is_symlink()


def test_what_a_symlink_of_the_release_leads_to_is_not_shared(root: Path, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "var").symlink_to(tmp_path / "var")
    (tmp_path / "var" / "media").mkdir(parents=True)
    (tmp_path / "var" / "media" / "precious").touch()
    site = node_on(
        LocalHost, Release, path=str(root), source=str(tmp_path / "source"), shared=["var/media/"]
    )
    with pytest.raises(ActionException, match="var/media cannot be shared: there is a symlink"):
        site.deploy("v1")
    assert (tmp_path / "var" / "media" / "precious").exists()


def test_rollbacks_go_back_further_and_never_forward(root: Path) -> None:
    site = site_at(root)
    for name in ("v1", "v2", "v3", "v4"):
        site.deploy(name)
    assert names(site) == ["v1+", "v2+", "v3+", "v4*+"]
    site.rollback()
    assert names(site) == ["v1+", "v2+", "v3*+", "v4"]
    site.rollback()
    assert names(site) == ["v1+", "v2*+", "v3", "v4"]
    site.deploy("v5")
    offered = list(list_hook_values(site, "release", "") or [])
    assert [name for name, _ in offered] == ["v5", "v4", "v3", "v2", "v1"]
    assert offered[0][1].endswith(" current good")
    site.rollback("v1")
    assert names(site) == ["v1*+", "v2", "v3", "v4", "v5"]
    before = tree(root / "releases")
    with pytest.raises(
        ActionException, match=r"(?s)LocalHost: .*: there is no earlier good release"
    ):
        site.rollback()
    with pytest.raises(
        ActionException,
        match=r"v4 is no good release: .* The good ones: v1\. `nested.activate v4` takes any",
    ):
        site.rollback("v4")
    with pytest.raises(ActionException, match=r"there is no release v6; there are v1, v2, v3"):
        site.rollback("v6")
    assert tree(root / "releases") == before
    site.activate("v4")
    assert names(site) == ["v1+", "v2", "v3", "v5", "v4*+"]
    site.rollback()
    assert site.current() == "v1"


def test_the_last_good_release_is_never_removed(root: Path) -> None:
    site_at(root).deploy("v1")
    broken = site_at(root, failing=["activated"], keep=1)
    for name in ("v2", "v3"):
        with pytest.raises(ActionException):
            broken.deploy(name)
    assert names(broken) == ["v1+", "v2", "v3*"]
    assert broken.cleanup() == (f"removed {root}/releases/v2",)
    assert broken.cleanup() == ()
    site_at(root, keep=1).rollback()
    assert names(broken) == ["v1*+", "v3"]
    site_at(root, keep=1).deploy("v4")
    assert names(broken) == ["v1+", "v4*+"]


def test_releases_from_before_there_was_a_record_are_kept_and_gone_back_to(root: Path) -> None:
    for name in ("20240101", "20240102"):
        (root / "releases" / name).mkdir(parents=True)
    (root / "releases" / "not one of ours").mkdir()
    (root / "current").symlink_to(root / "releases" / "20240101")
    site = site_at(root, keep=2)
    assert names(site) == ["20240101*", "20240102"]
    assert site.deploy("v1")[-1] == f"removed {root}/releases/20240102"
    assert names(site) == ["20240101+", "v1*+"]
    site.rollback()
    assert site.current() == "20240101"
    assert (root / "releases" / "not one of ours").is_dir()


@pytest.mark.parametrize("link", ["{}/releases/a", "./releases/a", "releases/a/"])
def test_the_current_release_stays_however_its_link_is_written(
    root: Path, tmp_path: Path, link: str
) -> None:
    for name in "abc":
        (tmp_path / "disk" / "releases" / name).mkdir(parents=True)
    root.symlink_to(tmp_path / "disk")
    (root / "current").symlink_to(link.format(tmp_path / "disk"))
    site = site_at(root, keep=1)
    assert site.current() == "a"
    assert site.cleanup() == (f"removed {root}/releases/b",)
    assert names(site) == ["a*", "c"]


# What fails.


@pytest.mark.parametrize("step", ["build", "check"])
def test_what_cannot_be_built_never_becomes_current(root: Path, step: str) -> None:
    site_at(root).deploy("v1")
    with pytest.raises(ActionException, match=f"{step} is broken") as caught:
        site_at(root, failing=[step]).deploy("v2")
    assert isinstance(caught.value.inner_exception, ZeroDivisionError)
    site = site_at(root)
    assert names(site) == ["v1*+"]
    assert (root / "releases" / "v2" / "version").exists()
    # The same name may be tried again.
    site.deploy("v2")
    assert names(site) == ["v1+", "v2*+"]
    assert [path.name for path in (root / "releases").iterdir() if path.name[0] == "."] == []


def test_a_failed_activation_says_what_is_current_and_where_to_go(root: Path) -> None:
    site = site_at(root)
    broken = site_at(root, failing=["activated"])
    for name in ("v1", "v2"):
        site.deploy(name)
    message = (
        r"v3 is the current release now, .*`nested.activate v3` tries.*, "
        r"`nested.rollback v2` goes back\. act"
    )
    with pytest.raises(ActionException, match=message) as caught:
        broken.deploy("v3")
    assert isinstance(caught.value.inner_exception.__cause__, ZeroDivisionError)
    assert names(site) == ["v1+", "v2+", "v3*"]
    # It was not completed, so that another one does that, and goes no further.
    with pytest.raises(
        ActionException, match=r"v2 is the current.*, `nested.rollback v1` goes back"
    ):
        broken.rollback()
    assert site.rollback() == (f"switched {root}/current to v2",)
    assert site.rollback() == (f"switched {root}/current to v1",)
    site.activate("v3")
    assert names(site) == ["v1+", "v2", "v3*+"]


def test_advice_in_an_array_names_the_cell(root: Path) -> None:
    class Farm(Node):
        class Hosts:
            host = LocalHost

        class web(ParallelNode.Array):
            class site(Site):
                path = str(root)

    site = Env(Farm()).web[0].site
    site.deploy("v1")
    with pytest.raises(ActionException, match=r"`web.site:LocalHost.activate v1`"):
        site.deploy("v1")
    with (
        site.lock.hold(),
        pytest.raises(ActionException, match=r"`web.site.lock:LocalHost.break_`$"),
    ):
        site.cleanup()


def test_a_release_whose_failed_activation_was_skipped_is_no_good_one(root: Path) -> None:
    class Checked(Release):
        def build(self, directory: str) -> None:
            pass

        def activated(self, directory: str) -> None:
            self.look(directory)

        def look(self, directory: str) -> None:
            self.host.run(f"test -e {shlex.quote(directory)}/healthy", interactive=False)

    site_at(root).setup()
    pty = Answering("Skip")
    checked = node_on(LocalHost, Checked, path=str(root), pty=pty)
    assert checked.deploy("v1")[-1] == f"switched {root}/current to v1"
    assert "v1 is the current release, but no good one" in pty.get_output()
    assert "`nested.activate v1` tries it again" in pty.get_output()
    assert names(checked) == ["v1*"]
    (root / "releases" / "v1" / "healthy").touch()
    checked.activate("v1")
    assert names(checked) == ["v1*+"]


def test_two_at_once_are_one_and_a_refusal(root: Path) -> None:
    site = site_at(root)
    site.setup()
    with site.lock.hold("maintenance"):
        for action in (site.deploy, site.rollback, site.cleanup):
            with pytest.raises(ActionException, match="maintenance") as caught:
                action()
            assert isinstance(caught.value.inner_exception, LockHeld)


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "../up", "a b", "-x", "$HOME", "é", "v1\n"])
def test_odd_names_are_refused(root: Path, name: str) -> None:
    with pytest.raises(ActionException, match="cannot be the name of a release") as caught:
        site_at(root).deploy(name)
    assert isinstance(caught.value.inner_exception, ValueError)
    assert not root.exists()


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"keep": 0}, "at least 1 release"),
        ({"shared": "media/"}, "is a list of paths"),
        ({"shared": [5]}, "is a list of paths"),
        ({"shared": ["/etc"]}, "'/etc' is no path in a release"),
        ({"shared": ["a/../.."]}, "is no path in a release"),
        ({"shared": [""]}, "is no path in a release"),
        ({"shared": ["a/", "a/b"]}, "'a/b' is in another one"),
    ],
)
def test_wrong_settings_are_refused(root: Path, attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(ActionException, match=message) as caught:
        site_at(root, **attributes).deploy()
    assert isinstance(caught.value.inner_exception, ValueError)
    assert not root.exists()


def test_releases_do_not_change(root: Path) -> None:
    site = site_at(root)
    site.deploy("v1")
    with pytest.raises(
        ActionException, match=r"there is a release v1 already.*`nested.activate v1`"
    ):
        site.deploy("v1")
    with pytest.raises(ActionException, match=r"there is no release v2; there are v1"):
        site.activate("v2")
    with pytest.raises(ActionException) as caught:
        site_at(root / "releases" / "v1" / "version").deploy("v1")
    assert isinstance(caught.value.inner_exception, DeployerException)
    assert names(site) == ["v1*+"]


def test_a_sandbox_says_what_it_would_do_and_does_nothing(root: Path) -> None:
    sandbox = site_at(root, is_sandbox=True, shared=["media/"])
    assert sandbox.deploy("v1") == (
        f"made {root}/releases",
        f"made {root}/shared",
        f"made {root}/shared/media",
        f"built {root}/releases/v1",
        f"switched {root}/current to v1",
    )
    assert not root.exists()
    for name in ("v1", "v2"):
        site_at(root).deploy(name)
    before = tree(root)
    assert sandbox.rollback() == (f"switched {root}/current to v1",)
    assert tree(root) == before


def test_nothing_is_there_before_the_first_one(root: Path) -> None:
    site = site_at(root)
    assert (site.releases(), site.current()) == ([], None)
    with pytest.raises(ActionException, match="its directory has to exist"):
        site.rollback()
    site.setup()
    with pytest.raises(ActionException, match="no earlier good release"):
        site.rollback()
