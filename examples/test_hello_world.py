"""Tests of the first deployment: they run on no machine, and take a few milliseconds each."""

import shlex

import pytest
from hello_world import HelloWorld

from deployer.exceptions import ActionException
from deployer.testing import Answer, assert_never_runs, assert_runs

SITE = "/home/user/.cache/deployer-hello-world"


def link(run):
    """Do what ``ln -sfn TARGET NAME`` does, since what comes next reads the page through it."""
    target, name = shlex.split(run.command)[2:]
    run.host.file_system.symlink(target, f"{run.directory}/{name}")


@pytest.fixture
def tree(fake_tree, monkeypatch):
    monkeypatch.setattr(HelloWorld, "directory", SITE)
    return fake_tree(HelloWorld, answers={"date *": "20240501T120000\n", "ln *": link})


def test_a_release_is_written_and_goes_live(tree, capsys):
    tree.env.deploy("reader")
    assert tree["LocalHost"].files == {f"{SITE}/20240501T120000/index.txt": "Hello, reader!\n"}
    assert capsys.readouterr().out == "Hello, reader!\n"


def test_the_page_is_there_before_it_goes_live(tree):
    host = tree["LocalHost"]

    def check_and_link(run):
        assert f"{SITE}/20240501T120000/index.txt" in host.files
        link(run)

    host.answers["ln *"] = check_and_link
    tree.env.deploy()
    _, step = assert_runs(tree, f"mkdir -p '{SITE}/20240501T120000'", "ln -sfn * live")
    assert step.directory == SITE


def test_without_a_directory_nothing_goes_live(tree):
    tree["LocalHost"].answers["mkdir *"] = Answer(
        stderr="mkdir: Permission denied\n", exit_status=1
    )
    with pytest.raises(ActionException, match="Permission denied"):
        tree.env.deploy()
    assert_never_runs(tree, "ln *")
    assert not tree["LocalHost"].files


def test_with_one_release_there_is_no_way_back(tree):
    tree["LocalHost"].files[f"{SITE}/1/index.txt"] = "Release 1\n"
    with pytest.raises(ActionException, match="no release to go back to"):
        tree.env.roll_back()
    assert_never_runs(tree, "*")


def test_going_back_takes_the_release_before_the_newest(tree):
    host = tree["LocalHost"]
    for release in ("1", "2", "3"):
        host.files[f"{SITE}/{release}/index.txt"] = f"Release {release}\n"
    host.file_system.symlink("3", f"{SITE}/live")
    host.answers["ln *"] = ""
    tree.env.roll_back()
    assert_runs(tree, "ln -sfn '2' live && rm -r '3'")
