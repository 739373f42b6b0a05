"""The same as a tree of nodes with plain classes of Python, which can do nothing else."""

import tree_sources
from sampling import serve


class Plain:
    pass


NAMES = {"Node": Plain}


def define(task):
    code = compile(tree_sources.nested("Node", tree_sources.GROUPS), "plain.py", "exec")

    def work():
        exec(code, dict(NAMES))
        return tree_sources.NODES / 1000

    work()
    yield work, lambda: None


def access(task):
    made = dict(NAMES)
    exec(tree_sources.nested("Node", tree_sources.GROUPS), made)
    yield tree_sources.walk(made["Root"]), lambda: None


def isolate(task):
    class Cell:
        def __init__(self, parent, host):
            self.parent = parent
            self.host = host

    def work():
        cells = [Cell(None, object()) for _ in range(tree_sources.NODES)]
        assert len(cells) == tree_sources.NODES
        return tree_sources.NODES / 1000

    yield work, lambda: None


def complete(task):
    made = dict(NAMES)
    exec(tree_sources.flat("Node"), made)

    def work():
        found = sorted(name for name in vars(made["Root"]) if name.startswith("node_12"))
        assert len(found) == tree_sources.BEGIN_SO
        return 1

    yield work, lambda: None


serve({"define": define, "access": access, "isolate": isolate, "complete": complete})
