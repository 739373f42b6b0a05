"""The options of the shell: how it runs things, until it is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..parallel.choices import OUTPUTS
from .hosts import check_hosts, show_pattern
from .values import find_converter

if TYPE_CHECKING:
    from .shell import DeploymentShell

__all__ = ["OPTIONS", "Option"]

_ALL = "all"
_AUTO = "auto"
_NONE = "none"


class Option(NamedTuple):
    """Something about the shell that can be changed."""

    summary: str
    get: Callable[[DeploymentShell], str]
    #: Raises ValueError for a text that is no value of it.
    set: Callable[[DeploymentShell, str], None]
    #: What can be given; other texts too, when the last one is empty.
    values: tuple[str, ...] = ()


def _get_run_option(name: str) -> Callable[[DeploymentShell], str]:
    return lambda shell: _show(getattr(shell.state.node._node_options, name))


def _set_run_option(name: str, kind: Any, least: int = 0) -> Callable[[DeploymentShell, str], None]:
    def change(shell: DeploymentShell, text: str) -> None:
        value = _parse(kind, text)
        if value < least:
            raise ValueError(f"it has to be a whole number from {least}, not {text!r}")
        _change_options(shell, **{name: value})

    return change


def _change_options(shell: DeploymentShell, **changes: Any) -> None:
    options = shell.state.node._node_options.replace(**changes)
    shell.state.replace_envs(lambda env: env._node_with_options(options))


def _get_hosts(shell: DeploymentShell) -> str:
    pattern = shell.state.node._node_options.hosts
    return _ALL if pattern is None else show_pattern(pattern)


def _set_hosts(shell: DeploymentShell, text: str) -> None:
    from ..inspection import Inspector
    from ..utils.folding import parse

    pattern = None if text == _ALL else parse(text)
    if pattern is not None:
        check_hosts(Inspector(shell.state.node).get_root(), pattern)
    _change_options(shell, hosts=pattern)


def _get_confirm(shell: DeploymentShell) -> str:
    return _show(shell.state.confirms)


def _set_confirm(shell: DeploymentShell, text: str) -> None:
    shell.state.confirms = _parse(bool, text)


def _get_sandbox(shell: DeploymentShell) -> str:
    return _show(shell.state.node._node_is_sandbox)


def _set_sandbox(shell: DeploymentShell, text: str) -> None:
    is_sandbox = _parse(bool, text)
    shell.state.replace_envs(lambda env: env._node_in_sandbox(is_sandbox))


def _get_output(shell: DeploymentShell) -> str:
    return shell.pty.presentation.output or _AUTO


def _set_output(shell: DeploymentShell, text: str) -> None:
    if text not in (_AUTO, *OUTPUTS):
        raise ValueError(f"it has to be one of {_AUTO}, {', '.join(OUTPUTS)}, not {text!r}")
    output = None if text == _AUTO else text
    shell.pty.presentation = shell.pty.presentation._replace(output=output)


def _get_outdir(shell: DeploymentShell) -> str:
    return shell.pty.presentation.directory or _NONE


def _set_outdir(shell: DeploymentShell, text: str) -> None:
    directory = None if text in ("", _NONE) else text
    shell.pty.presentation = shell.pty.presentation._replace(directory=directory)


def _show(value: object) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _parse(kind: Any, text: str) -> Any:
    converter = find_converter(kind)
    try:
        return converter.convert(text)
    except ValueError:
        raise ValueError(f"it has to be {converter.expected}, not {text!r}") from None


_YES_OR_NO = ("yes", "no")

#: By name, in the order in which they are shown.
OPTIONS: dict[str, Option] = {
    "confirm": Option(
        "ask before something runs in production", _get_confirm, _set_confirm, _YES_OR_NO
    ),
    "sandbox": Option("only check commands, and run none", _get_sandbox, _set_sandbox, _YES_OR_NO),
    "hosts": Option(
        "run on these only, as in web[01-18],!web03", _get_hosts, _set_hosts, (_ALL, "")
    ),
    "parallel": Option(
        "at most so many hosts at once",
        _get_run_option("fan_out"),
        _set_run_option("fan_out", int, least=1),
        ("",),
    ),
    "fail-fast": Option(
        "begin no more hosts once one has failed",
        _get_run_option("fail_fast"),
        _set_run_option("fail_fast", bool),
        _YES_OR_NO,
    ),
    "retries": Option(
        "try so often again to connect",
        _get_run_option("retries"),
        _set_run_option("retries", int),
        ("",),
    ),
    "output": Option("how several hosts are shown", _get_output, _set_output, (_AUTO, *OUTPUTS)),
    "outdir": Option(
        "a directory to keep the whole output of each host in",
        _get_outdir,
        _set_outdir,
        (_NONE, ""),
    ),
}
