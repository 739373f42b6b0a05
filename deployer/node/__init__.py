"""The tree: nodes, their actions, and the environment that these run in."""

from .action import Action, EnvAction, ParallelActionResult, UnboundAction
from .base import Node, ParallelNode, SimpleNode
from .decorators import (
    alias,
    changes_nothing,
    dont_isolate_yet,
    isolate_one_only,
    serial,
    suppress_action_result,
)
from .descriptors import required_property
from .env import Env
from .isolation import Isolation, IsolationIdentifierType, iter_isolations
from .metaclass import NodeBase, ParallelNodeBase
from .role_mapping import ALL_HOSTS, DefaultRoleMapping, RoleMapping, map_roles

__all__ = [
    "ALL_HOSTS",
    "Action",
    "DefaultRoleMapping",
    "Env",
    "EnvAction",
    "Isolation",
    "IsolationIdentifierType",
    "Node",
    "NodeBase",
    "ParallelActionResult",
    "ParallelNode",
    "ParallelNodeBase",
    "RoleMapping",
    "SimpleNode",
    "UnboundAction",
    "alias",
    "changes_nothing",
    "dont_isolate_yet",
    "isolate_one_only",
    "iter_isolations",
    "map_roles",
    "required_property",
    "serial",
    "suppress_action_result",
]
