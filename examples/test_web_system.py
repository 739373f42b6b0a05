"""Tests of the web system: which part has which hosts, and what happens in which order."""

import pytest
from web_system import Shop

from deployer import groups
from deployer.contrib.nodes import Changes, Git
from deployer.exceptions import ActionException
from deployer.inspection import Inspector
from deployer.node import Env
from deployer.testing import Answer, assert_never_runs, assert_runs

shop = Env(Shop())


@pytest.fixture
def tree(fake_tree, monkeypatch):
    """The shop on hosts in memory, with a command that only tests know in the place of git."""

    def checkout(self, commit):
        return Changes(
            self.host.run(f"checkout {commit} in {self.repository_location}").splitlines()
        )

    monkeypatch.setattr(Git, "checkout", checkout)
    monkeypatch.setattr(Git, "head_sha", lambda self: "abc123")
    return fake_tree(Shop, answers={"checkout *": "checked out something new\n"})


def hosts_of(env):
    return {
        role: " ".join(host.slug for host in hosts)
        for role, hosts in Inspector(env).get_roles().items()
    }


def test_each_part_of_production_has_the_hosts_of_its_roles():
    system = shop.production
    assert hosts_of(system.web) == {"host": "web1 web2"}
    assert hosts_of(system.scheduler) == {"host": "db1"}
    assert hosts_of(system.balancer) == {"host": "lb1", "web": "web1 web2"}
    assert hosts_of(system.database) == {"host": "db1", "replicas": "web1 web2"}
    assert hosts_of(system.database.replicas) == {"host": "web1 web2"}


def test_staging_is_one_host_without_replicas():
    nodes = list(Inspector(shop.staging).walk())
    assert {name for node in nodes for name in hosts_of(node).values()} == {"staging1", ""}
    assert len(shop.staging.database.replicas.hosts) == 0


def test_only_production_asks_before_it_begins():
    assert Inspector(shop.staging.web).get_group() is groups.Staging
    assert Inspector(shop.production.database.replicas).get_group().needs_confirmation


def test_what_staging_overrides_stays_in_production():
    staging, production = shop.staging, shop.production
    assert staging.web[0].process.command == "python3 app.py --port 8080"
    assert production.web[0].process.command == "python3 app.py --port 8000"
    assert staging.scheduler.process.command == "python3 jobs.py --dry-run"
    assert production.scheduler.process.command == "python3 jobs.py"
    assert production.balancer.servers.splitlines() == [
        "    server web1.example.com:8000;",
        "    server web2.example.com:8000;",
    ]


def test_staging_is_deployed_in_this_order(tree):
    tree.env.staging.deploy("v2")
    assert_runs(
        tree["staging1"],
        "python3 -c *iterdump* shop.sqlite3",
        "checkout v2 in ~/web",
        "setsid python3 app.py --port 8080 *",
        "until python3 -c * http://localhost:8080/ *",
        "checkout v2 in ~/scheduler",
        "setsid python3 jobs.py --dry-run *",
    )
    upstream = "upstream shop {\n    server staging1.example.com:8080;\n}\n"
    assert tree["staging1"].files["~/upstream.conf"] == upstream


def test_the_balancer_has_all_web_servers_whatever_hosts_are_selected(tree):
    tree.env.production.balancer.update.with_options(hosts="lb1")()
    assert tree["lb1"].files["~/upstream.conf"].count("server web") == 2


def test_production_gets_what_staging_runs_one_web_server_after_the_other(tree):
    tree.env.production.promote()
    deployed = [run.host.slug for run in tree.runs if run.command.startswith("checkout abc123 ")]
    assert deployed == ["web1", "web2", "db1"]
    assert_never_runs(tree["staging1"], "*")


def test_a_web_server_that_does_not_answer_keeps_the_version_from_the_others(tree):
    tree["web1"].answers["until *"] = Answer("SyntaxError: invalid syntax\n", exit_status=1)
    with pytest.raises(ActionException, match="SyntaxError"):
        tree.env.production.deploy("v2")
    for name in ("web2", "db1"):
        assert_never_runs(tree[name], "checkout *")
    assert not tree["lb1"].runs


def test_what_runs_the_version_already_is_left_alone(tree):
    tree["staging1"].answers["checkout *"] = ""
    tree.env.staging.web.deploy("v2")
    assert_never_runs(tree, "setsid *")


def test_a_backup_in_production_reaches_the_copies(tree):
    tree["db1"].answers["python3 -c *iterdump* shop.sqlite3"] = "INSERT INTO orders …;\n"
    tree.env.production.database.backup()
    assert "INSERT INTO orders …;\n" in tree["db1"].files.values()
    for name in ("web1", "web2"):
        (load,) = assert_runs(tree[name], "rm -f new && * && mv new shop.sqlite3")
        assert load.directory == "/home/deploy/database"
        assert load.initial_input == "INSERT INTO orders …;\n"
