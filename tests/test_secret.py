"""Secrets do not show, and are found in whatever is shown."""

from __future__ import annotations

import copy
import logging
import pickle
import secrets
import shlex
import subprocess
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.exceptions import (
    ActionException,
    CommandTimeout,
    ConnectionLost,
    DeployerException,
    ExecCommandFailed,
    QueryException,
    RemoteFileError,
)
from deployer.failures import describe_failure
from deployer.host import LocalHost
from deployer.host.result import RunResult
from deployer.secret import Secret, redact, without_frames
from deployer.utils import esc1, esc2


def new_text() -> str:
    """Return a text that no other test has, with all that quoting changes."""
    return f'it\'s "{secrets.token_hex(4)}" $x `y` \\z é'


def test_a_secret_shows_nothing_of_itself() -> None:
    text = secrets.token_hex(8)
    secret = Secret(text)
    shown = f"{secret} {secret!r} {secret:>12} {[secret]} {'%s' % secret}"  # noqa: UP031
    assert shown == "Secret(***) Secret(***)  Secret(***) [Secret(***)] Secret(***)"
    assert secret.reveal() == text
    assert not hasattr(secret, "__dict__")


def test_a_secret_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps({"key": Secret("hunter22")})


def test_a_copy_of_a_secret_is_the_secret() -> None:
    secret = Secret("hunter22")
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_secrets_are_equal_when_their_texts_are() -> None:
    assert Secret("one é") == Secret("one é") != Secret("two é")
    assert len({Secret("one é"), Secret("one é"), Secret("two é")}) == 2
    assert Secret("one é") != "one é"


def test_a_secret_is_made_of_a_text_and_the_error_does_not_show_it() -> None:
    with pytest.raises(TypeError, match="not of a bytes") as caught:
        Secret(b"hunter22")  # type: ignore[arg-type]
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    "spell",
    [str, shlex.quote, esc1, esc2, repr, lambda text: repr(shlex.quote(text))],
    ids=["plain", "quoted", "esc1", "esc2", "repr", "repr of quoted"],
)
def test_a_secret_is_found_in_any_spelling(spell) -> None:
    text = new_text()
    Secret(text)
    shown = redact(f"before {spell(text)} after")
    assert text[6:12] not in shown
    assert shown.startswith("before ") and shown.endswith(" after")
    assert "***" in shown


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=4), quote=st.booleans())
def test_no_secret_is_left_in_a_text(text: str, quote: bool) -> None:
    Secret(text)
    assert redact(f"<{shlex.quote(text) if quote else text}>").strip("<>'") == "***"


def test_the_longer_of_two_secrets_is_hidden_whole() -> None:
    short = secrets.token_hex(4)
    Secret(short)
    Secret(f"{short}more")
    assert redact(f"a {short}more b {short} c") == "a *** b *** c"


def test_a_short_secret_is_not_looked_for() -> None:
    Secret("abc")
    assert redact("the abc of it") == "the abc of it"


def test_each_line_of_a_key_is_hidden_but_not_its_frame(tmp_path: Path) -> None:
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", file], check=True)
    text = file.read_text()
    Secret(text)
    first, *lines, last = text.splitlines()
    for line in lines:
        assert redact(f"x {line} y") == "x *** y"
    assert redact(first) == first and redact(last) == last
    assert lines[2] not in redact(repr(text))


def failed(text: str) -> RunResult:
    return RunResult(
        f"out {text}", exit_status=1, command=f"{'x' * 80} {shlex.quote(text)}", host="web"
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda text: ExecCommandFailed(failed(text)),
        lambda text: CommandTimeout(failed(text), 3),
        lambda text: ConnectionLost(f"lost in {text}"),
        lambda text: RemoteFileError(f"no {text}"),
        lambda text: ActionException(ValueError(text)),
        lambda text: QueryException("N", "q", text, ValueError(text)),
    ],
    ids=["failed", "timeout", "lost", "file", "action", "query"],
)
def test_our_exceptions_do_not_show_a_secret(make) -> None:
    text = new_text()
    Secret(text)
    error: DeployerException = make(text)
    for shown in (str(error), repr(error)):
        assert "***" in shown
        # The command is cut: half of a secret is not to be left.
        assert text[6:10] not in shown and "it's" not in shown


def test_an_error_comes_without_the_frames_that_knew_the_secret() -> None:
    secret = Secret(secrets.token_hex(8))

    def use(password: str) -> None:
        try:
            raise KeyError(1)
        except KeyError:
            raise ZeroDivisionError("no") from None

    with pytest.raises(ZeroDivisionError) as caught:
        without_frames(lambda: use(secret.reveal()))
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert secret.reveal() not in "".join(shown.format())
    assert "test_an_error_comes_without" in "".join(shown.format())


def test_a_secret_in_a_log_record_is_hidden(caplog: pytest.LogCaptureFixture) -> None:
    text = secrets.token_hex(8)
    logging.getLogger("x").error("it is %s", Secret(text))
    assert caplog.messages == ["it is Secret(***)"]


def test_what_is_told_of_a_failure_shows_no_secret() -> None:
    secret = Secret(new_text())
    host = LocalHost()
    with pytest.raises(ExecCommandFailed) as failed:
        host.run(f"echo '{esc1(secret.reveal())}'; false")
    told = describe_failure(failed.value)
    assert (secret.reveal() in failed.value.result, secret.reveal() in told) == (True, False)
    assert told.count("***") == 2

    # A fault of the user's own code, which is shown with its traceback.
    assert secret.reveal() not in describe_failure(ValueError(f"no such token: {secret.reveal()}"))


def test_a_password_that_stands_in_a_class_is_a_secret_before_it_is_asked_for() -> None:
    class web1(LocalHost):
        password = secrets.token_hex(8)

    with pytest.raises(ExecCommandFailed) as failed:
        web1().run(f"echo {web1.password}; false")
    assert web1.password not in str(failed.value)
