"""Trees of nodes, as somebody would write them."""

#: In a tree; as many as there are hosts.
NODES = 1000
GROUPS = 20
#: Nodes in the flat one, and how many of their names begin with ``node_12``.
FLAT = 10_000
BEGIN_SO = 111


def nested(base, groups):
    """Return a tree of NODES nodes in some groups, each with an action and a child."""
    lines = [f"class Root({base}):"]
    # A group, and pairs of nodes.
    pairs = (NODES - groups) // (2 * groups)
    for group in range(groups):
        lines.append(f"    class group_{group}({base}):")
        lines.append(f"        'Group {group}.'")
        for number in range(pairs):
            lines += [
                f"        class node_{number}({base}):",
                f"            'Node {number}.'",
                f"            port = {number}",
                "            def act(self, name, times=1):",
                "                'Act.'",
                f"            class inner({base}):",
                "                def act(self):",
                "                    'Act within.'",
            ]
    return "\n".join([*lines, ""])


def walk(root):
    """Give what follows a path to an attribute many times."""

    def work():
        count = 1000
        for _ in range(count):
            assert root.group_7.node_5.port == 5
        return count / 1000

    work()
    return work


def many_hosts(base, host):
    """Return a tree with one node and NODES hosts."""
    lines = [f"class Host{number}({host}): pass" for number in range(NODES)]
    names = ", ".join(f"Host{number}" for number in range(NODES))
    return "\n".join(
        [
            *lines,
            f"class Root({base}):",
            "    class Hosts:",
            f"        host = ({names})",
            "    def act(self): pass",
            "",
        ]
    )


def flat(base):
    """Return a node with FLAT nodes in it."""
    lines = [f"class Root({base}):"]
    for number in range(FLAT):
        lines += [f"    class node_{number}({base}):", f"        'Node {number}.'"]
    return "\n".join([*lines, ""])
