"""A unit of systemd on a host."""

from __future__ import annotations

import re
import shlex
from typing import Any, NamedTuple

from ...exceptions import ExecCommandFailed
from ...host import RunResult
from ...node import Node, changes_nothing, required_property, suppress_action_result
from ...query import Q
from .changes import Changes, ask, report
from .config import Config

__all__ = ["Service", "ServiceFailed"]


class ServiceFailed(ExecCommandFailed):
    """A unit did not start; ``journal`` holds the last lines of its journal."""

    def __init__(self, result: RunResult, journal: str) -> None:
        super().__init__(result)
        self.journal = journal

    def _message(self) -> str:
        return f"{super()._message()}\n{self.journal}".rstrip()


class Service(Node):
    """A service that systemd runs on the host.

    One that a package has brought needs its name only; of another one, ``content`` is the unit::

        class worker(Service):
            name = "site-worker"
            content = Template.from_file("site-worker.service", directory=Q.parent.directory)

    With ``Type=exec`` or ``Type=notify``, systemd tells when a service could not be started; with
    the default, ``simple``, it does not wait for that.
    """

    #: What systemd calls it; ``.service`` may be left out. Timers and other units do as well.
    name: Any = required_property("What systemd calls the service")
    #: The text of the unit file; None for a unit that is there without us.
    content: Any = None
    #: Whether ``setup`` has it started at boot.
    enabled: Any = True
    #: Whether ``setup`` starts it: False for what a timer or a socket starts.
    running: Any = True

    class unit(Config):
        """The unit file; there is none when ``content`` is None."""

        remote_path = Q("/etc/systemd/system/%s") % Q.parent.unit_name
        content = Q.parent.content
        use_sudo = True

    @property
    def unit_name(self) -> str:
        """The full name of the unit."""
        name = str(self.name)
        # Others are paths or patterns for systemctl, or options.
        if not re.fullmatch(r"[A-Za-z0-9_:][A-Za-z0-9_.:@\\-]*", name):
            raise ValueError(f"{name!r} is no name of a systemd unit, such as 'nginx'")
        return name if re.search(rf"\.({_KINDS})\Z", name) else f"{name}.service"

    @suppress_action_result
    def setup(self) -> Changes:
        """Write the unit, enable the service and start it, unless that is so already.

        It is restarted when its unit has changed.

        :raises ServiceFailed: when it does not start.
        """
        unit: Any = self.unit
        changes: Changes = Changes() if self.content is None else unit.setup()
        state = _look(self)
        # Also after a setup that was cut short before systemd read what it had written.
        is_new = bool(changes) or state.needs_reload
        if is_new:
            self.host.sudo("systemctl daemon-reload")
            state = _look(self)
        # At once: another setup cannot tell that it still has to be done.
        if is_new and state.is_active:
            changes += _start(self, "restart", "restarted")
        if self.enabled and state.can_be_enabled:
            changes += _do(self, "enable", "enabled")
        if self.running and not state.is_active:
            changes += _start(self, "start", "started")
        return changes

    @suppress_action_result
    def start(self) -> Changes:
        """Start the service, unless it is active."""
        return Changes() if _look(self).is_active else _start(self, "start", "started")

    @suppress_action_result
    def stop(self) -> Changes:
        """Stop the service, unless it is not running."""
        return Changes() if _look(self).is_stopped else _do(self, "stop", "stopped")

    @suppress_action_result
    def restart(self) -> Changes:
        """Restart the service, or start it."""
        return _start(self, "restart", "restarted")

    @suppress_action_result
    def reload(self) -> Changes:
        """Have the service read its configuration again."""
        return _start(self, "reload", "reloaded")

    @suppress_action_result
    def reload_or_restart(self) -> Changes:
        """Have the service read its configuration again; restart it where it cannot do that."""
        return _start(self, "reload-or-restart", "reloaded or restarted")

    @suppress_action_result
    def enable(self) -> Changes:
        """Have the service started at boot, unless it is; a unit without [Install] cannot be."""
        return _do(self, "enable", "enabled") if _look(self).can_be_enabled else Changes()

    @suppress_action_result
    def disable(self) -> Changes:
        """Have the service not started at boot."""
        return _do(self, "disable", "disabled") if self.is_enabled() else Changes()

    @changes_nothing
    def is_active(self) -> bool:
        """Return whether the service is active."""
        return _look(self).is_active

    @changes_nothing
    def is_enabled(self) -> bool:
        """Return whether the service is started at boot, by itself or by another unit."""
        return _ask(self, "is-enabled", "--quiet").ok

    @changes_nothing
    def status(self) -> str:
        """Return what ``systemctl status`` says."""
        result = _ask(self, "status", "--no-pager", "--full")
        # 3: it is not running.
        if result.exit_status not in (0, 3):
            raise ExecCommandFailed(result)
        return result.stdout

    @changes_nothing
    def logs(self, lines: int = 20) -> str:
        """Return the last lines that are in the journal for it."""
        result = _ask_journal(self, lines)
        if not result.ok:
            raise ExecCommandFailed(result)
        return result.stdout


_KINDS = "service|socket|timer|path|target|mount|automount|swap|slice|scope|device"


def _ask(service: Any, *words: str) -> RunResult:
    words = ("env", "LC_ALL=C", "systemctl", *words, service.unit_name)
    # As root, since others reach systemd through D-Bus only, which is not everywhere.
    return ask(service, shlex.join(words), use_sudo=True)


def _ask_journal(service: Any, lines: int) -> RunResult:
    words = ["journalctl", "--no-pager", "--quiet", f"--lines={lines}", "--unit"]
    return ask(service, shlex.join([*words, service.unit_name]), use_sudo=True)


class _State(NamedTuple):
    """What systemd knows of a unit."""

    active: str
    unit_file: str
    needs_reload: bool

    @property
    def is_active(self) -> bool:
        return self.active in ("active", "reloading")

    @property
    def is_stopped(self) -> bool:
        return self.active in ("inactive", "failed")

    @property
    def can_be_enabled(self) -> bool:
        # A unit without [Install] is "static"; one that is not there, as in a sandbox, is nothing.
        return self.unit_file in ("disabled", "")


def _look(service: Any) -> _State:
    found = _ask(service, "show", "--property=ActiveState,UnitFileState,NeedDaemonReload")
    if not found.ok:
        raise ExecCommandFailed(found)
    values = dict(line.split("=", 1) for line in found.stdout.splitlines())
    return _State(
        values["ActiveState"], values["UnitFileState"], values["NeedDaemonReload"] == "yes"
    )


def _do(service: Any, verb: str, done: str) -> Changes:
    service.host.sudo(shlex.join(["systemctl", verb, service.unit_name]))
    return report(service, f"{done} {service.unit_name}")


def _start(service: Any, verb: str, done: str) -> Changes:
    """Do what may fail for reasons that are in the journal."""
    try:
        return _do(service, verb, done)
    except ExecCommandFailed as error:
        raise ServiceFailed(error.result, _ask_journal(service, 20).stdout) from error
