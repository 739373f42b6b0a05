"""The carrying-out of commands on a host: the channel, sudo's part in it, and how they ended.

Imported by the methods of ``Host`` that run something, which is why it may import what that takes.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from ..exceptions import CommandTimeout, ConnectionLost, DeployerException, SudoFailed
from ..secret import shown_command
from . import interaction
from .command import HostContext, SudoPrompt, build
from .command_stream import CommandStream
from .credentials import Credential, credentials
from .result import RunResult
from .sudo import SudoDialogue, end_script, failure, new_prompt

if TYPE_CHECKING:
    from .base import Host

__all__ = ["execute", "stream_as_root"]


def execute(
    host: Host,
    command: str,
    *,
    sudo: bool,
    reported_sudo: bool,
    sandbox: bool,
    in_pty: bool,
    user: str | None,
    initial_input: str | bytes | None,
    silent: bool,
    timeout: float | None,
) -> RunResult:
    """Run a command in the context of a host; return what it gave, whatever its exit status is.

    :param sudo: whether sudo runs it.
    :param reported_sudo: whether the result says so.
    :param in_pty: run it in a terminal. For the rest, see :meth:`Host.run`.
    :raises CommandTimeout: when it does not end in time.
    :raises SudoFailed: when sudo does not run it.
    :raises ConnectionLost: when nobody knows how it ended.
    """
    prompt = new_prompt() if sudo and not sandbox else None
    line = build(
        host.context,
        command,
        sandbox=sandbox,
        sudo=prompt,
        user=user,
        password_from_stdin=not in_pty,
        shell=host.shell,
    )
    answer = None
    if prompt is not None:
        answer = _sudo_answer(host, prompt)
    text_input = b"" if initial_input is None else _as_bytes(initial_input)
    exchange = interaction.Exchange()
    begun = time.monotonic()
    gave_up = False

    def result() -> RunResult:
        stdout, stderr = exchange.take_output(in_pty)
        return RunResult(
            stdout,
            stderr=stderr,
            exit_status=exchange.exit_status,
            exit_signal=exchange.exit_signal,
            command=command,
            host=host.slug,
            use_sudo=reported_sudo,
            duration=time.monotonic() - begun,
            was_shown=not silent,
        )

    host.pty.check_interrupted()
    with host._open_channel(line, in_pty) as channel:
        try:
            interaction.run(
                channel,
                host.pty,
                exchange,
                in_pty=in_pty,
                initial_input=text_input,
                silent=silent,
                timeout=timeout,
                sudo=answer,
            )
        except interaction.TimedOut:
            assert timeout is not None
            raise CommandTimeout(result(), timeout) from None
        except (interaction.SudoRefused, interaction.SudoSilent):
            assert answer is not None
            # How far it was, and what it said, tells which of the two.
            gave_up = True
    ended = result()
    if answer is not None and not exchange.started and (gave_up or _has_failed(ended)):
        raise _sudo_failure(host, answer, ended, gave_up, in_pty)
    if ended.exit_status is None and ended.exit_signal is None:
        raise ConnectionLost(
            f"{host.slug}: the connection to {host.address} was lost while "
            f"{shown_command(command)} ran; whether it did its work is unknown",
            ended,
        )
    return ended


@contextmanager
def stream_as_root(host: Host, command: str) -> Iterator[CommandStream]:
    """Start a command of ours as root, outside the context, and give its streams."""
    prompt = None if host.get_username() == "root" else new_prompt()
    mark = f"deployer-{os.urandom(12).hex()}"
    line = build(HostContext(), f"printf %s {mark}; {command}", sudo=prompt, shell=host.shell)
    exchange = interaction.Exchange()
    gave_up = False
    lost = partial(_stream_lost, host)
    host.pty.check_interrupted()
    with host._open_channel(line, False) as channel:
        if prompt is not None:
            answer = _sudo_answer(host, prompt)
            try:
                interaction.start(channel, host.pty, exchange, answer)
            except (interaction.SudoRefused, interaction.SudoSilent):
                gave_up = True
            if not exchange.started:
                ended = RunResult(
                    stderr=exchange.take_output(False)[1],
                    exit_status=exchange.exit_status,
                    exit_signal=exchange.exit_signal,
                    command=command,
                    host=host.slug,
                    use_sudo=True,
                )
                if gave_up or _has_failed(ended):
                    raise _sudo_failure(host, answer, ended, gave_up, in_pty=False)
                raise lost()
        stream = CommandStream(channel, host.pty, mark, exchange, lost)
        try:
            yield stream
        finally:
            stream.close()


def _stream_lost(host: Host) -> ConnectionLost:
    return ConnectionLost(
        f"{host.slug}: the connection to {host.address} was lost; the next call opens a new one"
    )


def _sudo_answer(host: Host, prompt: SudoPrompt) -> interaction.SudoAnswer:
    return interaction.SudoAnswer(
        SudoDialogue(prompt),
        partial(_find_sudo_password, host),
        partial(_end_as_root, host, prompt),
    )


def _find_sudo_password(host: Host) -> Credential | None:
    account = host._account()
    question = f"[sudo] password for {account.username} on {host.slug}: "
    credential = credentials.password(host, account, host.pty, question)
    if credential is not None and set("\n\r\0") & set(credential.secret.reveal()):
        raise ValueError(f"{host.slug}: the password has a newline in it; sudo reads one line")
    return credential


def _end_as_root(host: Host, prompt: SudoPrompt) -> None:
    """End a command that ran under sudo, and what it started."""
    script = end_script(prompt)
    # Why the command has to end is what the caller needs to know; not that it could not.
    with suppress(DeployerException), host._beside() as beside:
        # In a terminal, which hangs up if this takes too long.
        beside.sudo(f"/bin/sh -c {shlex.quote(script)}", interactive=True, timeout=10.0)


def _sudo_failure(
    host: Host, answer: interaction.SudoAnswer, ended: RunResult, gave_up: bool, in_pty: bool
) -> SudoFailed:
    if answer.credential is not None:
        credentials.forget(answer.credential)
    return failure(
        host.slug,
        f"{host.get_username()} on {host.address}",
        ended,
        answer.dialogue.state,
        answer.credential,
        gave_up=gave_up,
        in_pty=in_pty,
        is_asked=host.pty.can_ask and host._account().may_ask,
    )


def _has_failed(result: RunResult) -> bool:
    """Whether a command has ended, and not well."""
    return not result.ok and (result.exit_status is not None or result.exit_signal is not None)


def _as_bytes(text: str | bytes) -> bytes:
    return text.encode(errors="surrogateescape") if isinstance(text, str) else text
