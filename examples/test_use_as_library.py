"""Tests of the program that uses the tree of the rolling upgrade."""

import logging

import pytest
from rolling_upgrade import RollingUpgrade
from use_as_library import bring_to, open_tree, read_versions

from deployer.exceptions import ActionException, ConnectionTimeout
from deployer.host import SSHHost
from deployer.node import Node
from deployer.testing import Answer


class Site(RollingUpgrade):
    class Hosts:
        web = tuple(
            type(f"web{n}", (SSHHost,), {"address": f"web{n}.example.com"}) for n in range(1, 5)
        )
        balancer = type("balancer", (SSHHost,), {"address": "balancer.example.com"})


@pytest.fixture
def tree(fake_tree):
    tree = fake_tree(Site)
    for name, version in ("web1", "v2"), ("web2", "v1"), ("web3", "v1"):
        tree[name].files["~/site/www/version.txt"] = f"{version}\n"
    return tree


def test_only_servers_without_the_version_are_upgraded(tree, capsys):
    assert bring_to(tree.env, "v2")
    assert not tree["web1"].runs
    assert all(tree[name].runs for name in ("web2", "web3", "web4"))
    assert capsys.readouterr().out == "web1: v2\nweb2: v2\nweb3: v2\nweb4: v2\n"


def test_nothing_is_done_where_all_have_it(tree):
    tree["web4"].files["~/site/www/version.txt"] = "v1\n"
    tree["web1"].files["~/site/www/version.txt"] = "v1\n"
    assert bring_to(tree.env, "v1")
    assert not tree.runs


def test_a_failure_leaves_the_rest_as_it_was(tree, capsys, caplog):
    tree["web2"].answers["python3 - *"] = Answer(stderr="404\n", exit_status=1)
    assert not bring_to(tree.env, "v2")
    shown = capsys.readouterr().out
    assert "web3: v1\n" in shown
    assert "404" in shown
    assert "web4: left as it was" in caplog.text


def test_what_others_have_is_known_when_a_server_is_down(tree, monkeypatch):
    def refuse(*_, **options):
        raise ConnectionTimeout("web2: no answer")

    monkeypatch.setattr(tree["web2"], "open", refuse)
    versions, failures = read_versions(tree.env, retries=0)
    assert versions == {"web1": "v2", "web3": "v1"}
    assert isinstance(failures["web2"], ConnectionTimeout)


def test_commands_are_logged_with_their_status(fake_host, caplog):
    class Root(Node):
        class Hosts:
            host = fake_host

        def look(self):
            self.host.run("uptime")
            self.host.run("false")

    fake_host.slug = "web1"
    fake_host.answers["false"] = Answer(exit_status=1)
    caplog.set_level(logging.INFO)
    with pytest.raises(ActionException):
        open_tree(Root).look()
    assert caplog.messages == ["web1: uptime: status 0", "web1: false: status 1"]
    assert caplog.records[-1].levelno == logging.ERROR
