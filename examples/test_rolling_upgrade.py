"""Tests of the rolling upgrade: what stays in the balancer, and where it stops."""

import shlex

import pytest
from rolling_upgrade import RollingUpgrade

from deployer.exceptions import ParallelActionException
from deployer.host import SSHHost
from deployer.testing import Answer, assert_never_runs, assert_runs


class Site(RollingUpgrade):
    class Hosts:
        web = tuple(
            type(f"web{n}", (SSHHost,), {"address": f"web{n}.example.com"}) for n in range(1, 9)
        )
        balancer = type("balancer", (SSHHost,), {"address": "balancer.example.com"})


@pytest.fixture
def tree(fake_tree):
    return fake_tree(Site)


def line_of(tree, server):
    return tree["balancer"].files[f"/etc/nginx/site/{server}.conf"]


def test_a_server_gets_no_requests_until_it_is_well(tree):
    seen = []
    tree["web1"].answers["while *ss *"] = lambda run: seen.append(line_of(tree, "web1"))
    tree["web1"].answers["python3 - *"] = lambda run: seen.append(line_of(tree, "web1"))
    tree.env.web["web1"].upgrade("v2")
    assert seen == ["server web1.example.com:8000 down;\n"] * 2
    assert line_of(tree, "web1") == "server web1.example.com:8000;\n"


def test_it_is_drained_before_it_is_restarted_and_checked_after(tree):
    tree["web1"].files["~/site/pid"] = "123\n"
    tree.env.web["web1"].upgrade("v2")
    *_, check = assert_runs(tree["web1"], "while *ss *", "* kill *", "*http.server*", "python3 - *")
    assert check.command == "python3 - http://localhost:8000/version.txt v2"
    assert tree["web1"].files["~/site/www/version.txt"] == "v2\n"


def test_nginx_reads_each_change_as_root(tree):
    tree.env.web["web1"].upgrade("v2")
    for reload in assert_runs(tree["balancer"], "nginx -t && *", "nginx -t && *"):
        assert reload.use_sudo


def test_a_first_server_that_is_not_well_stays_out_and_ends_the_upgrade(tree):
    tree["web1"].answers["python3 - *"] = Answer(stderr="404\n", exit_status=1)
    with pytest.raises(ParallelActionException, match="404") as caught:
        tree.env.web.upgrade("v2")
    assert len(caught.value.not_begun) == 7
    assert line_of(tree, "web1") == "server web1.example.com:8000 down;\n"
    assert not any(tree[f"web{number}"].runs for number in range(2, 9))


def test_after_a_failure_its_batch_is_finished_and_the_next_is_not_begun(tree):
    tree["web2"].answers["python3 - *"] = Answer(exit_status=1)
    with pytest.raises(ParallelActionException) as caught:
        tree.env.web.upgrade("v2")
    assert len(caught.value.results) == 2
    assert line_of(tree, "web3") == "server web3.example.com:8000;\n"
    assert not tree["web4"].runs


def test_one_failure_may_be_allowed(tree):
    tree["web2"].answers["python3 - *"] = Answer(exit_status=1)
    with pytest.raises(ParallelActionException) as caught:
        tree.env.web.upgrade.with_options(max_failures=1)("v2")
    assert len(caught.value.results) == 7
    assert not caught.value.not_begun


def test_a_balancer_that_refuses_leaves_the_servers_alone(tree):
    tree["balancer"].answers["nginx -t *"] = Answer(stderr="no upstream\n", exit_status=1)
    with pytest.raises(ParallelActionException, match="no upstream"):
        tree.env.web.upgrade("v2")
    assert_never_runs(tree["web1"], "*")


def test_a_version_is_a_single_word(tree):
    tree.env.web["web1"].upgrade("it's; rm -rf /")
    (check,) = assert_runs(tree["web1"], "python3 - *")
    assert shlex.split(check.command)[-1] == "it's; rm -rf /"
