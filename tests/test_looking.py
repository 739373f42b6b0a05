"""Looking at a tree without running it: in the shell, on the command line, as text and as JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

import looking_tree
from deployer.groups import Group, production, set_group
from deployer.host import LocalHost
from deployer.inspection import Inspector
from deployer.inspection.description import as_data, describe_node, find_in
from deployer.inspection.details import inspect_action, inspect_node, inspect_query
from deployer.inspection.source import find_place
from deployer.inspection.texts import clean, clean_doc, get_summary, show_value
from deployer.node import Env, Node, ParallelNode, alias, changes_nothing, map_roles, serial
from deployer.pseudo_terminal import DummyPty
from deployer.query import Q
from deployer.shell import DeploymentShell, NotFound
from deployer.shell.listing import draw_tree, list_found, list_node
from deployer.shell.members import Member, find_member
from deployer.shell.sources import show_source
from deployer.shell.style import Style, get_style, in_table
from looking_tree import SCRIPT, Site
from shell_tree import SCRIPT as TREE
from shell_tree import Tree
from terminals import ROOT, run_in_terminal, run_script

pytestmark = pytest.mark.machine

PROBLEM = (
    "Site.broken is a .JustOne, for a single host, but has 3 (web1, web2, web3): nest its .Array "
    "instead, or choose one host with map_roles"
)


class Session:
    """A shell without a terminal, for any tree."""

    def __init__(self, root: type[Node] = Site) -> None:
        self.pty = DummyPty()
        self.shell = DeploymentShell(Env(root(), self.pty))
        self.status = 0

    def run(self, *lines: str) -> str:
        """Return what the lines write, with the places in files left out."""
        before = len(self.pty.get_output())
        for line in lines:
            self.status = self.shell.run_line(line)
        output = self.pty.get_output()[before:]
        return re.sub(rf"{re.escape(str(ROOT))}\S*/(\w+\.py):\d+(-\d+)?", r"\1", output)


class Unbroken(Site):
    broken = None


@pytest.fixture
def session() -> Session:
    return Session()


@pytest.fixture
def unbroken() -> Session:
    return Session(Unbroken)


# ls

LS = f"""\
Child nodes
  web     db      broken
Actions
  odd        plain      with.dots
Properties
  now     needed
Queries
  url        wrong_url  keys
! broken: {PROBLEM}
"""

LS_LONG = f"""\
Child nodes
  web     3 hosts
  db      4 hosts
  broken           ! {PROBLEM}
Actions
  odd        In red
  plain
  with.dots  the same as plain
Properties
  now     What time it is.
  needed  What is needed
Queries
  url        Q('http://%s:%s/') % (Q.domain, Q.ports['web'])
  wrong_url  Q('%s/%s') % (Q.domain, Q.ports['nothing'])
  keys       Q.ports.update
"""


@pytest.mark.parametrize(
    ("line", "output"),
    [
        ("ls", LS),
        ("ls -l", LS_LONG),
        ("ls db", "Child nodes\n  backup\n"),
        ("ls -l db", "Child nodes\n  backup  4 hosts\n"),
        ("ls db.backup", "Actions\n  .\n"),
        ("ls db.backup -l", "Actions\n  . [name=all]  Make a backup.\n"),
        (
            "ls web",
            "Child nodes\n  nginx\nActions\n  deploy  shell   count\n"
            "Cells\n  :web1  :web2  :web3\n",
        ),
        ("ls web.nginx", "Actions\n  status   reload   re.load\nCells\n  :web1  :web2  :web3\n"),
        ("ls web :web2", "Child nodes\n  nginx\nActions\n  deploy  shell   count\n"),
        (
            "ls -l web :web2 nginx",
            "Actions\n"
            "  status [verbose=False]  Say how it is.\n"
            "  reload [NAMES…] [delay=0.5] [NAME=VALUE…]  Read the configuration again.\n"
            "  re.load [NAMES…] [delay=0.5] [NAME=VALUE…]  Read the configuration again.\n",
        ),
        ("ls _hidden", "Actions\n  act\n"),
    ],
)
def test_ls_lists_what_is_in_a_node(session: Session, line: str, output: str) -> None:
    assert session.run(line) == output
    assert session.status == 0


def test_ls_of_an_empty_node_says_so() -> None:
    class Empty(Node):
        pass

    assert Session(Empty).run("ls") == "Nothing here yet: no child nodes, and no actions.\n"
    assert Session(Empty).run("tree") == "Empty\n"
    assert Session(Empty).run("find") == ""


def test_what_is_unknown_to_ls_is_refused(unbroken: Session) -> None:
    assert unbroken.run("ls --long") == "ls has no option --long; it has -l\n"
    assert unbroken.status == 2
    assert "Did you mean 'web'?" in unbroken.run("ls wbe")
    assert unbroken.status == 2


def test_many_cells_are_folded_for_a_person_only() -> None:
    hosts = tuple(type(f"h{n}", (LocalHost,), {}) for n in range(100))

    class Many(ParallelNode):
        class Hosts:
            host = hosts

        def act(self) -> None:
            pass

    node = describe_node(Many())
    assert list_node(node, Style(is_cut=True))[-1] == "  :h[0-99] (100)"
    assert sum(line.count(":h") for line in list_node(node, Style())) == 100


# tree


def test_tree_shows_all_that_is_below(session: Session) -> None:
    assert session.run("tree") == (
        f"""\
Site (web: web[1-3]; db: db)
│   odd, plain
├── web (production; each of web[1-3])
│   │   deploy, shell, count
│   └── nginx
│           status, reload
├── db (staging; host: db; all: db,web[1-3])
│   └── backup()
└── broken ! {PROBLEM}
"""
    )


def test_tree_shows_a_part_of_it(session: Session) -> None:
    assert session.run("tree web :web1") == (
        """\
web[0] (production; web1)
│   deploy, shell, count
└── nginx
        status, reload
"""
    )


def test_the_tree_of_the_shells_tests() -> None:
    assert Session(Tree).run("tree") == (
        """\
Tree (first)
│   hello, plain, quiet, ls, find_one, fail, unfound, fault, ask, leave, sleep, spin
├── git
│       checkout, log
├── web (production; each of first,second)
│   │   name, half
│   └── logs
│           show
└── service()
"""
    )


def test_lines_are_drawn_in_ascii_where_there_are_no_others() -> None:
    assert draw_tree(describe_node(Tree().web, None), Style(has_lines=False)) == [
        "web (production; each of first,second)",
        "|   name, half",
        "`-- logs",
        "        show",
    ]
    assert not get_style(TextPty("ascii")).has_lines
    assert get_style(TextPty("utf-8")).has_lines


def test_a_person_gets_lines_that_fit() -> None:
    lines = draw_tree(describe_node(Site(), None), Style(columns=34, is_cut=True))
    assert lines == [
        "Site (web: web[1-3]; db: db)",
        "│   odd, plain",
        "├── web (production; each of web[…",
        "│   │   deploy, shell, count",
        "│   └── nginx",
        "│           status, reload",
        "├── db (staging; host: db; all: d…",
        "│   └── backup()",
        "└── broken ! Site.broken is a .Ju…",
    ]
    narrow = draw_tree(describe_node(Tree(), 0)._replace(roles={}), Style())
    assert narrow == ["Tree"]
    wrapped = draw_tree(describe_node(Tree(), None), Style(columns=30, is_cut=True))
    assert wrapped[1:4] == [
        "│   hello, plain, quiet, ls,",
        "│   find_one, fail, unfound,",
        "│   fault, ask, leave, sleep,",
    ]


def test_nodes_are_in_the_colour_of_their_group() -> None:
    style = Style(has_colours=True)
    lines = draw_tree(describe_node(Tree(), None), style)
    assert "├── \x1b[31mweb\x1b[0m (production; each of first,second)" in lines
    assert "  git      \x1b[31mweb\x1b[0m      service" in list_node(describe_node(Tree()), style)


def test_a_colour_that_there_is_not_is_none() -> None:
    class Odd(Group):
        color = "ultraviolet"

    @set_group(Odd)
    class Root(Node):
        pass

    assert draw_tree(describe_node(Root()), Style(has_colours=True)) == ["Root (odd)"]


def test_a_node_that_is_nested_in_itself_is_shown_once() -> None:
    class Endless(Node):
        def act(self) -> None:
            pass

    Endless.again = Endless
    session = Session(Endless)
    assert session.run("tree") == (
        "Endless\n│   act\n└── again ! is nested in itself, without an end\n"
    )
    assert session.run("find") == "act\nagain  is nested in itself, without an end\n"
    assert session.run("ls again.again") == "Child nodes\n  again\nActions\n  act\n"


def test_a_deep_tree_is_shown_to_its_end() -> None:
    node: type[Node] = Node
    for level in range(100):
        node = type(Node)(f"level{level}", (Node,), {"below": node})
    (*_, last) = Session(node).run("tree").splitlines()
    assert last == "    " * 99 + "└── below"
    assert Session(node).run("find").splitlines()[-1] == ".".join(["below"] * 100)
    assert json.loads(json.dumps(as_data(describe_node(node(), None))))["name"] == "level99"


def test_hosts_that_cannot_be_said_are_a_problem_of_their_node() -> None:
    class one(LocalHost):
        slug = "same"

    class other(LocalHost):
        slug = "same"

    class Root(Node):
        class Hosts:
            first = one
            second = other

        @map_roles("first", "second")
        class merged(Node):
            """Of two that are named alike."""

            def act(self) -> None:
                pass

    tree = Session(Root).run("tree")
    assert "└── merged ! Root.merged: role 'host': " in tree
    assert tree.endswith("\n        act\n")
    assert "both have the slug 'same'" in Session(Root).run("--inspect merged")


# find


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("", None),
        ("deploy", "web.deploy"),
        ("DEPLOY", "web.deploy"),
        ("re*", "web.nginx.reload web.nginx.re.load"),
        ("*.status", "web.nginx.status"),
        (
            "web.*",
            "web.deploy web.shell web.count web.nginx web.nginx.status web.nginx.reload "
            "web.nginx.re.load",
        ),
        (
            "web",
            "web web.deploy web.shell web.count web.nginx web.nginx.status "
            "web.nginx.reload web.nginx.re.load",
        ),
        # By a docstring, after those by name.
        ("backup", "db.backup"),
        ("how", "web.nginx.status"),
        ("what", "now needed broken"),
        ("url", "url wrong_url"),
        # A query is found by its name only.
        ("domain", ""),
        ("_helper", ""),
        ("complete", ""),
        ("nothing-like-it", ""),
        ("[", ""),
    ],
)
def test_find_finds_by_names_and_then_by_docstrings(pattern: str, paths: str | None) -> None:
    found = [each.path for each in find_in(describe_node(Site(), None), pattern)]
    if paths is not None:
        assert found == paths.split()
    else:
        assert len(found) == len(set(found)) > 10


def test_find_says_what_it_finds(session: Session) -> None:
    assert session.run("find now") == "now  (property) What time it is.\n"
    assert session.run("find keys") == "keys  (query) Q.ports.update\n"
    assert session.status == 0
    assert session.run("find nothing-like-it") == ""
    assert session.status == 1
    assert session.run("find a b") == "find takes one pattern\n"


def test_long_lines_are_cut_for_a_person_only() -> None:
    found = find_in(describe_node(Site(), None), "wrong_url")
    assert list_found(found, Style(40, is_cut=True)) == ["wrong_url  (query) Q('%s/%s') % (Q.doma…"]
    assert list_found(found, Style(40)) == [
        "wrong_url  (query) Q('%s/%s') % (Q.domain, Q.ports['nothing'])"
    ]


# help


def test_help_alone_fits_a_small_terminal(session: Session) -> None:
    lines = session.run("help").splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("  Look     ls [-l] [NAME…]   tree") for line in lines)


def test_help_can_explain_all_commands(session: Session) -> None:
    output = session.run("help -l")
    assert "\nLook\n  ls [-l] [NAME…]        List what is here; -l explains it.\n" in output


@pytest.mark.parametrize(
    ("line", "output"),
    [
        ("help tree", "usage: tree [NAME…]\n\nShow all that is below.\n"),
        ("? web deploy", "usage: web deploy COMMIT force=FORCE\n\nDeploy a commit to the web.\n"),
        ("help now", "Site.now is a property\n\nWhat time it is.\n\nOn this machine.\n"),
        ("help needed", "Site.needed is a property\n\nWhat is needed\n"),
        ("help keys", "Site.keys is a query\n\nQ.ports.update\n"),
        ("help with.dots", "usage: with.dots\n"),
        (
            "help web.nginx",
            "Site.web.nginx\n\nSomething that runs.\n\n    Indented further.\nAnd less.\n\n"
            "Actions\n"
            "  status [verbose=False]  Say how it is.\n"
            "  reload [NAMES…] [delay=0.5] [NAME=VALUE…]  Read the configuration again.\n"
            "  re.load [NAMES…] [delay=0.5] [NAME=VALUE…]  Read the configuration again.\n",
        ),
        ("help db.backup", "Site.db.backup\n\nusage: backup [name=all]\n\nMake a backup.\n"),
        ("help odd", "usage: odd\n\nIn red\n\nEvil: text.\n"),
    ],
)
def test_help_explains_everything(session: Session, line: str, output: str) -> None:
    assert session.run(line) == output


def test_help_knows_what_was_meant(unbroken: Session) -> None:
    assert "Did you mean 'tree'?" in unbroken.run("help treee")
    assert unbroken.run("help neded") == (
        "Unbroken has no node, action, property or query 'neded'. Did you mean 'needed'?\n"
    )


# --inspect


@pytest.mark.parametrize(
    ("line", "output"),
    [
        (
            "--inspect",
            f"""\
Node Site
  class  Site (Node)
  file   looking_tree.py
  hosts  web: web[1-3]; db: db

All of the site.

Child nodes
  web      3 hosts
  db       4 hosts
  broken            ! {PROBLEM}
  _hidden  4 hosts
Actions
  odd        In red
  plain
  with.dots  the same as plain
  _helper
Properties
  now     What time it is.
  needed  What is needed
Queries
  url        Q('http://%s:%s/') % (Q.domain, Q.ports['web'])
  wrong_url  Q('%s/%s') % (Q.domain, Q.ports['nothing'])
  keys       Q.ports.update

Attributes
  domain       'example.com'
  ports        {{'web': 8080}}
  db_password  ***
  key          Secret(***)
""",
        ),
        (
            "--inspect web",
            """\
Node Site.web
  group  production
  class  Site.web (ParallelNode.Array)
  file   looking_tree.py
  hosts  each of web[1-3]
  roles  map_roles(host='web')
  cells  web[1-3] (3)

Child nodes
  nginx  3 hosts  Something that runs.
Actions
  deploy COMMIT force=FORCE  Deploy a commit to the web.
  complete_commit
  shell
  count
""",
        ),
        (
            "--inspect web[1].nginx",
            """\
Node Site.web[1].nginx
  group  production
  class  Site.web.nginx (Node)
  bases  Service
  file   looking_tree.py
  hosts  web2

Something that runs.

    Indented further.
And less.

Actions
  status [verbose=False]  Say how it is.
  reload [NAMES…] [delay=0.5] [NAME=VALUE…]  Read the configuration again.
  re.load [NAMES…] [delay=0.5] [NAME=VALUE…]  Read the configuration again.
""",
        ),
        (
            "--inspect web.nginx re.load",
            """\
Action Site.web.nginx.re.load
  usage  re.load [NAMES…] [delay=0.5] [NAME=VALUE…]
  also   reload
  class  Site.web.nginx
  file   looking_tree.py
  runs   in each cell: web[1-3] (3)

Read the configuration again.
""",
        ),
        (
            "--inspect web.nginx.status",
            """\
Action Site.web.nginx.status
  usage  status [verbose=False]
  class  Service
  file   looking_tree.py
  runs   in each cell: web[1-3] (3)

Say how it is.
""",
        ),
        (
            "--inspect now",
            """\
Property Site.now
  class  Site
  file   looking_tree.py

What time it is.

On this machine.
""",
        ),
        (
            "--inspect needed",
            """\
Property Site.needed
  value  none yet: it has to be given one
  class  Site

What is needed
""",
        ),
        (
            "--inspect url",
            """\
Query Site.url
  source  Q('http://%s:%s/') % (Q.domain, Q.ports['web'])
  class   Site
  file    looking_tree.py
  result  'http://example.com:8080/'

Steps
  Q.domain        'example.com'
  Q.ports         {'web': 8080}
  Q.ports['web']  8080
  Q('http://%s:%s/') % (Q.domain, Q.ports['web'])  'http://example.com:8080/'
""",
        ),
    ],
)
def test_inspect_says_all(session: Session, line: str, output: str) -> None:
    assert session.run(line) == output
    assert session.status == 0


def test_a_query_that_fails_shows_how_far_it_comes(session: Session) -> None:
    assert session.run("--inspect wrong_url") == (
        """\
Query Site.wrong_url
  source  Q('%s/%s') % (Q.domain, Q.ports['nothing'])
  class   Site
  file    looking_tree.py

Steps
  Q.domain            'example.com'
  Q.ports             {'web': 8080}
  Q.ports['nothing']  failed

It fails: KeyError: 'nothing'
"""
    )
    assert session.status == 1


class Queries(Node):
    ports = {"web": 80}
    table = [10, 20, 30]
    password = "correct horse"
    empty = ""
    numbers = list(range(1000))

    parentless = Q.parent.name
    decided = (Q.table == [10, 20, 30]) | Q.missing
    undecided = Q.empty | Q.missing
    sliced = Q.table[Q.ports["web"] : Q.missing]
    called = Q.ports.get("web", default=Q.missing)
    nested = Q.ports[Q.missing] + 1
    in_dict = Q.ports.get({"key": [Q.missing]})
    last = Q.table[0] / (Q.table[0] - 10)
    reveals = Q("https://me:%s@host/") % Q.password
    long = Q.numbers
    other = Q.wrong
    wrong = Q.missing


@pytest.mark.parametrize(
    ("name", "steps", "error"),
    [
        ("parentless", ["Q.parent", "Q.parent.name"], "Q.parent is None"),
        ("undecided", ["Q.empty", "Q.missing"], "missing"),
        ("sliced", ["Q.table", "Q.ports", "Q.ports['web']", "Q.missing"], "missing"),
        ("called", ["Q.ports", "Q.ports.get", "Q.missing"], "missing"),
        ("nested", ["Q.ports", "Q.missing"], "missing"),
        ("in_dict", ["Q.ports", "Q.ports.get", "Q.missing"], "missing"),
        (
            "last",
            ["Q.table", "Q.table[0]", "Q.table[0] - 10", "Q.table[0] / (Q.table[0] - 10)"],
            "ZeroDivisionError",
        ),
        ("other", ["Q.wrong"], "Env(Queries).wrong = Q.missing"),
    ],
)
def test_the_last_step_of_a_query_that_fails_is_the_one_at_fault(
    name: str, steps: list[str], error: str
) -> None:
    details = inspect_query(Env(Queries()), name)
    assert [step.source for step in details.steps] == steps
    assert [step.result is None for step in details.steps] == [False] * (len(steps) - 1) + [True]
    assert details.result is None
    assert details.error is not None
    assert error in details.error
    assert details.steps[-1].error == details.error


def test_what_decides_a_query_is_all_that_is_evaluated() -> None:
    details = inspect_query(Env(Queries()), "decided")
    assert details.result == "True"
    assert "Q.missing" not in [step.source for step in details.steps]


def test_secrets_are_not_shown_also_where_they_are_a_part() -> None:
    assert "correct horse" not in Session(Queries).run("--inspect reveals", "--inspect")
    details = inspect_query(Env(Queries()), "reveals")
    assert details.result == "'https://me:***@host/'"


def test_long_results_are_cut_in_text_and_whole_as_json() -> None:
    output = Session(Queries).run("--inspect long")
    assert max(map(len, output.splitlines())) < 250
    assert inspect_query(Env(Queries()), "long").result == repr(list(range(1000)))


@pytest.mark.parametrize(
    ("name", "runs", "cells"),
    [
        ("deploy", "in-each-cell", ("web1", "web2", "web3")),
        ("shell", "in-one-cell", ("web1", "web2", "web3")),
        ("count", "once", ()),
    ],
)
def test_an_action_says_where_it_would_run(name: str, runs: str, cells: tuple[str, ...]) -> None:
    details = inspect_action(Env(Site()).web, name)
    assert (details.runs, details.cells) == (runs, cells)
    assert inspect_action(Env(Site()).web[0], name).runs == "once"


def test_an_action_says_in_which_batches_it_runs_and_that_it_changes_nothing() -> None:
    class Web(ParallelNode):
        class Hosts:
            host = looking_tree.Web1, looking_tree.Web2

        @serial(1, "25%")
        @changes_nothing
        def check(self) -> None:
            pass

    lines = Session(Web).run("--inspect check").splitlines()
    assert "  runs     in each cell, in batches of 1, then 25%: web[1-2] (2)" in lines
    assert "  changes  nothing, says its author" in lines
    details = inspect_action(Web()[0], "check")
    assert (details.runs, details.batches, details.changes_nothing) == ("once", (), True)


def test_the_place_of_a_node_or_an_action_is_in_its_file() -> None:
    lines = SCRIPT.read_text().splitlines()
    web = inspect_node(Site().web).place
    assert web is not None
    assert web.file == str(SCRIPT)
    assert lines[web.line - 1].strip() == "@production"
    assert lines[web.last_line - 1].strip() == "pass"
    reload = inspect_action(Site().web.nginx, "reload").place
    assert reload is not None
    assert lines[reload.line - 1].strip() == '@alias("re.load")'
    assert "Read the configuration" in lines[reload.last_line - 1]


def test_what_a_program_has_made_has_no_place_and_no_source() -> None:
    namespace: dict[str, Any] = {"Node": Node, "__name__": "nowhere"}
    exec("class Made(Node):\n    def act(self): pass", namespace)
    session = Session(namespace["Made"])
    assert session.run("--inspect") == "Node Made\n  class  Made (Node)\n\nActions\n  act\n"
    assert "file" not in session.run("--inspect act")
    for line, path in (("--source-code", "Made"), ("--source-code act", "Made.act")):
        assert session.run(line) == (
            f"{path} has no source code: a program has made it, or the file is gone\n"
        )
        assert session.status == 2
    assert find_place(len) is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--inspect elsewhere", "Unbroken has no node or action 'elsewhere'."),
        ("--inspect plain more", "Unbroken.plain is an action, and there is nothing in it\n"),
        ("--inspect url.more", "'url' is a query of Unbroken, and no node or action"),
        ("--inspect wrong_ulr", "Did you mean 'wrong_url'?"),
    ],
)
def test_a_mistake_gets_one_line_that_helps(unbroken: Session, line: str, message: str) -> None:
    output = unbroken.run(line)
    assert message in output
    assert output.count("\n") == 1
    assert unbroken.status == 2


def test_a_node_that_cannot_be_made_says_why(session: Session) -> None:
    assert session.run("--inspect broken") == f"NodeUsageError: {PROBLEM}\n"


def test_names_with_dots_are_found_anywhere() -> None:
    env = Env(Site())
    assert find_member(env, ["with.dots"]) == Member(env, "action", "with.dots")
    member = Member(env.web.nginx, "action", "re.load")
    for words in (["web.nginx.re.load"], ["web", "nginx.re.load"], ["web.nginx", "re.load"]):
        assert find_member(env, words) == member
    assert find_member(env, []) == Member(env)
    assert find_member(env.web, ["..", "url"]) == Member(env, "query", "url")
    with pytest.raises(NotFound):
        find_member(env, ["web..nginx"])


# --source-code


@pytest.mark.parametrize(
    ("line", "output"),
    [
        (
            "--source-code plain",
            '# looking_tree.py\n@alias("with.dots")\ndef plain(self):\n    pass\n',
        ),
        (
            "--source-code db.backup",
            '# looking_tree.py\nclass backup(Node):\n    def __call__(self, name="all"):\n'
            '        """Make a backup."""\n',
        ),
        ("--source-code keys", "# looking_tree.py\nkeys = Q.ports.update\n"),
        (
            "--source-code needed",
            "Site.needed is a required property: it has no code, until it is given\n",
        ),
    ],
)
def test_source_code_shows_the_definition(session: Session, line: str, output: str) -> None:
    assert session.run(line) == output


def test_the_source_of_a_property_is_that_of_its_function(session: Session) -> None:
    lines = session.run("--source-code now").splitlines()
    assert lines[1:3] == ["@property", "def now(self):"]


def test_source_code_is_in_colours_where_there_are_any() -> None:
    pytest.importorskip("pygments")
    (_, *lines) = show_source(Member(Env(Site()), "action", "plain"), Style(has_colours=True))
    assert any("\x1b[" in line for line in lines)
    plain = [clean(line) for line in lines]
    assert plain == ['@alias("with.dots")', "def plain(self):", "    pass"]


# Text


@pytest.mark.parametrize(
    ("doc", "cleaned", "summary"),
    [
        (None, "", ""),
        ("", "", ""),
        ("   \n\n", "", ""),
        ("One.", "One.", "One."),
        ("\n    One.\n\n      Two.\n    Three.\n    ", "One.\n\n  Two.\nThree.", "One."),
        ("One.\n  \tTwo.", "One.\nTwo.", "One."),
        ("One.\n        Two.\n  Three.", "One.\n      Two.\nThree.", "One."),
        ("\x1b[1;31mRed\x1b[0m and \x1b]8;;http://x\x1b\\link\x07", "Red and link", "Red and link"),
        ("\x1b]0;never closed", "", ""),
        ("a\rb\x00c\x9b31md\x85e\x7f", "abcde", "abcde"),
        ("Many   blanks\there", "Many   blanks   here", "Many blanks here"),
        ("Naïve 日本", "Naïve 日本", "Naïve 日本"),
    ],
)
def test_docstrings_are_plain_text(doc: str | None, cleaned: str, summary: str) -> None:
    assert clean_doc(doc) == cleaned
    assert get_summary(doc) == summary


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_values_are_shown_whatever_they_are() -> None:
    assert show_value("\x1b[31m") == "'\\x1b[31m'"
    assert show_value(Unshowable()) == "<Unshowable, whose repr raises RuntimeError>"
    assert show_value("x" * 100, 10) == "'xxxxxxxx…"


def test_names_and_defaults_of_any_length_do_no_harm() -> None:
    name = "n" * 200

    class Root(Node):
        def act(self, words: str = "w" * 200, odd: object = Unshowable()) -> None:
            pass

        @alias(name)
        def short(self) -> None:
            """Do it."""

    lines = Session(Root).run("ls -l").splitlines()
    assert lines[1] == f"  act [words={'w' * 39}…] [odd=<Unshowable, whose repr raises RuntimeE…]"
    assert lines[3] == f"  {name}  Do it."
    (line,) = in_table([(name, "help " * 50)], Style(80, is_cut=True))
    assert line.startswith(f"  {name}  help help help")
    assert len(line) == 2 + 200 + 2 + 20


def test_columns_that_are_empty_are_left_out() -> None:
    assert in_table([("a", "", "b"), ("ccc", "", "d")], Style()) == ["  a    b", "  ccc  d"]
    assert in_table([], Style()) == []


class TextPty(DummyPty):
    """A Pty whose output has an encoding."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def stdout(self) -> Any:
        class Stream:
            encoding = self._encoding

            def isatty(self) -> bool:
                return True

        return Stream()


# The command line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("ls", "ls"),
        ("ls -l web", "ls -l web"),
        ("tree", "tree"),
        ("tree web", "tree web"),
        ("find web", "find web"),
        ("inspect", "--inspect"),
        ("inspect web.deploy", "--inspect web.deploy"),
        ("inspect url", "--inspect url"),
        ("inspect wrong_url", "--inspect wrong_url"),
        ("find nothing-like-it", "find nothing-like-it"),
    ],
)
def test_the_command_line_shows_what_the_shell_does(words: str, line: str) -> None:
    ran = run_script(SCRIPT, *words.split())
    in_shell = run_script(SCRIPT, stdin=f"{line}\n")
    assert ran.stdout == in_shell.stdout
    assert "\x1b" not in ran.stdout
    assert ran.returncode == in_shell.returncode
    assert ran.stderr == in_shell.stderr == ""


def read_json(*words: str) -> Any:
    return json.loads(run_script(SCRIPT, *words, "--json").stdout)


def test_a_node_is_listed_as_json() -> None:
    data = read_json("ls", "web")
    assert data == {
        "name": "web",
        "path": "Site.web",
        "summary": "",
        "node_kind": "ParallelNode.Array",
        "group": "production",
        "color": "red",
        "is_array": True,
        "is_callable": False,
        "roles": {"host": ["web1", "web2", "web3"]},
        "has_own_hosts": False,
        "mapping": "host='web'",
        "problem": "",
        "default_action": None,
        "nodes": [
            {
                "name": "nginx",
                "path": "Site.web.nginx",
                "summary": "Something that runs.",
                "node_kind": "Node",
                "group": "production",
                "color": "red",
                "is_array": False,
                "is_callable": False,
                "roles": {"host": ["web1", "web2", "web3"]},
                "has_own_hosts": False,
                "mapping": "",
                "problem": "",
            }
        ],
        "actions": data["actions"],
        "properties": [],
        "queries": [],
        "cells": ["web1", "web2", "web3"],
    }
    assert data["actions"][0] == {
        "name": "deploy",
        "usage": "deploy COMMIT force=FORCE",
        "summary": "Deploy a commit to the web.",
        "alias_of": None,
        "parameters": [
            {
                "name": "commit",
                "kind": "positional-or-keyword",
                "is_required": True,
                "default": None,
                "annotation": None,
            },
            {
                "name": "force",
                "kind": "keyword-only",
                "is_required": True,
                "default": None,
                "annotation": "bool",
            },
        ],
    }


def test_a_tree_is_json_to_its_leaves() -> None:
    data = read_json("tree")
    (web, db, broken) = data["nodes"]
    assert [each["name"] for each in web["nodes"][0]["actions"]] == ["status", "reload", "re.load"]
    assert db["nodes"][0]["default_action"]["usage"] == "__call__ [name=all]"
    assert broken["problem"] == PROBLEM
    assert "nodes" not in broken
    assert read_json("graph") == data


def test_what_is_found_is_json() -> None:
    assert read_json("find", "status") == [
        {
            "path": "web.nginx.status",
            "name": "status",
            "kind": "action",
            "summary": "Say how it is.",
        }
    ]
    assert read_json("find", "nothing-like-it") == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("web", {"kind": "node", "path": "Site.web", "class_name": "Site.web", "bases": []}),
        ("web.nginx", {"bases": ["Service"], "doc": clean_doc(looking_tree.Service.__doc__)}),
        ("web.deploy", {"kind": "action", "path": "Site.web.deploy", "runs": "in-each-cell"}),
        ("web.deploy", {"batches": [], "changes_nothing": False}),
        ("now", {"kind": "property", "name": "now", "is_required": False}),
        ("needed", {"kind": "property", "is_required": True, "place": None}),
        (
            "url",
            {"kind": "query", "result": "'http://example.com:8080/'", "error": None},
        ),
        ("wrong_url", {"kind": "query", "result": None, "error": "KeyError: 'nothing'"}),
    ],
)
def test_all_about_something_is_json(path: str, expected: dict[str, Any]) -> None:
    data = read_json("inspect", path)
    assert {name: data[name] for name in expected} == expected


def test_what_is_not_there_is_wrong_use() -> None:
    ran = run_script(TREE, "inspect", "git.chekcout")
    assert "Did you mean 'checkout'?" in ran.stderr
    assert ran.returncode == 2


# At a terminal


def test_at_a_terminal_lines_are_cut_and_in_colours() -> None:
    with run_in_terminal(SCRIPT, "inspect", "web") as screen:
        screen.wait_for("Actions")
        assert screen.colour_at("Node Site.web") == "red"
        assert screen.wait_for_end() == 0
    with run_in_terminal(SCRIPT, "ls", "-l") as screen:
        screen.wait_for("Queries")
        assert "  web     3 hosts" in screen.lines
        (broken,) = (line for line in screen.lines if line.startswith("  broken"))
        assert broken.endswith("…")
        assert len(broken) == 80
        assert screen.wait_for_end() == 0


def test_what_is_longer_than_the_screen_is_in_the_pager(tmp_path: Any) -> None:
    pager = tmp_path / "pager"
    pager.write_text("#!/bin/sh\necho in the pager\ncat > /dev/null\n")
    pager.chmod(0o755)
    variables = {"XDG_STATE_HOME": str(tmp_path), "PAGER": str(pager), "NO_COLOR": "1"}
    with run_in_terminal(SCRIPT, rows=12, **variables) as screen:
        screen.wait_for(lambda lines: lines[-1].startswith("Site"))
        screen.type("--source-code\n")
        screen.wait_for("in the pager")
        screen.type("--source-code plain\n")
        screen.wait_for("def plain(self):")


# What it takes

HEAVY = """
    paramiko inspect traceback difflib subprocess pathlib dataclasses json pygments textwrap
"""


@pytest.mark.parametrize("words", [["ls"], ["ls", "-l", "web"], ["find", "web"], ["find"]])
def test_listing_loads_nothing_heavy(words: list[str], tmp_path: Any) -> None:
    program = f"""
import atexit, sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
sys.argv[1:] = {words!r}
@atexit.register
def check():
    print(*sys.modules, file=open({str(tmp_path / "loaded")!r}, "w"))
from looking_tree import Site, start
start(Site)
"""
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
    loaded = set((tmp_path / "loaded").read_text().split())
    heavy = set(HEAVY.split())
    # The script of the tests itself has a path.
    assert loaded & heavy <= {"pathlib"}
    assert "deployer.inspection.details" not in loaded


def test_looking_evaluates_no_property() -> None:
    # ``now`` raises when it is evaluated.
    env = Env(Site())
    assert as_data(describe_node(env, None))
    assert as_data(inspect_node(env))
    assert Inspector(env).get_childnode_names() == ["web", "db", "broken", "_hidden"]
    assert Inspector(env).get_class() is Site
    assert Inspector(env.web).has_cells()
    assert not Inspector(env.web[0]).has_cells()
    assert list(Inspector(env.db).get_roles()) == ["host", "all"]


def test_nodes_that_cannot_be_made_are_left_out_when_asked() -> None:
    inspector = Inspector(Site())
    names = [Inspector(node).get_name() for node in inspector.get_childnodes(skip_broken=True)]
    assert names == ["web", "db", "_hidden"]
    assert len(inspector.walk(skip_broken=True)) == 6
    with pytest.raises(TypeError, match=re.escape(PROBLEM)):
        inspector.get_childnodes()
    with pytest.raises(TypeError, match=re.escape(PROBLEM)):
        list(inspector.walk())


def test_the_group_is_that_of_the_nearest_node_around() -> None:
    @production
    class Root(Node):
        class Hosts:
            host = looking_tree.Web1, looking_tree.Web2

        class broken(ParallelNode.JustOne):
            pass

    (child,) = as_data(describe_node(Root()))["nodes"]
    assert (child["group"], child["color"]) == ("production", "red")
