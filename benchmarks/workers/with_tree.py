"""deployer's tree of nodes, and the completion in its shell."""

import tree_sources
from sampling import serve

from deployer.host import LocalHost
from deployer.node import Env, Node, ParallelNode

NAMES = {"Node": Node, "ParallelNode": ParallelNode, "LocalHost": LocalHost}


def define(task):
    code = compile(tree_sources.nested("Node", tree_sources.GROUPS), "deploy.py", "exec")

    def work():
        exec(code, dict(NAMES))
        return tree_sources.NODES / 1000

    work()
    yield work, lambda: None


def access(task):
    made = dict(NAMES)
    exec(tree_sources.nested("Node", tree_sources.GROUPS), made)
    yield tree_sources.walk(Env(made["Root"]())), lambda: None


def isolate(task):
    made = dict(NAMES)
    exec(tree_sources.many_hosts("ParallelNode", "LocalHost"), made)

    def work():
        cells = list(Env(made["Root"]()))
        assert len(cells) == tree_sources.NODES
        assert cells[-1].host.slug == f"Host{tree_sources.NODES - 1}"
        return tree_sources.NODES / 1000

    work()
    yield work, lambda: None


def complete(task):
    from deployer.cli.completion import complete as find
    from deployer.pseudo_terminal import DummyPty
    from deployer.shell.completion import ShellCandidates
    from deployer.shell.state import ShellState

    made = dict(NAMES)
    exec(tree_sources.flat("Node"), made)
    candidates = ShellCandidates(ShellState(Env(made["Root"](), DummyPty())))

    def work():
        assert len(find(candidates, "node_12")) == tree_sources.BEGIN_SO
        return 1

    work()
    yield work, lambda: None


serve({"define": define, "access": access, "isolate": isolate, "complete": complete})
