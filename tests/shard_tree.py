"""A tree whose actions are run in workers: what those are sent is where it is defined."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from deployer.node import Node, ParallelNode, alias, dont_isolate_yet, map_roles, serial
from deployer.secret import Secret
from our_hosts import LocalHost1, LocalHost2, LocalHost3, LocalHost4, LocalHost5
from waiting import until


@dataclass(frozen=True)
class Version:
    number: int


class OddError(Exception):
    """One that can be pickled, and not be made again."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


class Base(ParallelNode):
    def tell(self) -> str:
        return f"the base's {self.host.slug}"


class Farm(Base):
    @alias("as well")
    def greet(self, greeting: str = "Hello", *, end: str = "") -> str:
        return f"{greeting} {self.host.slug}{end}"

    def tell(self) -> str:
        return self.host.slug

    @dont_isolate_yet
    def tell_of_base(self) -> list[str]:
        return list(super().tell())

    def get_process(self) -> int:
        return os.getpid()

    def speak(self) -> None:
        print(f"printed by {self.host.slug}")
        self.host.run("echo out; echo err >&2")

    def get_directory(self) -> str:
        return str(self.host.run("pwd; echo $COLOUR").strip())

    def fail_on(self, *slugs: str) -> str:
        if self.host.slug in slugs:
            self.host.run("echo why >&2; exit 3")
        return "fine"

    def misbehave_on(self, slug: str) -> str:
        if self.host.slug == slug:
            raise ValueError("a fault in the action")
        return "fine"

    def end_program_on(self, slug: str) -> str:
        if self.host.slug == slug:
            sys.exit(3)
        return self.host.slug

    def fail_oddly(self) -> None:
        raise OddError("this", "that")

    def fail_with_lock(self) -> None:
        error = ValueError("holds a lock")
        error.lock = threading.Lock()  # type: ignore[attr-defined]
        raise error

    def return_lock_on(self, slug: str) -> Any:
        return threading.Lock() if self.host.slug == slug else "fine"

    def fail_with_secret(self) -> None:
        # Made of parts: nothing else shall show it.
        secret = Secret("pa55" + "word")
        self.host.run(f"echo {secret.reveal()}; exit 1")

    def return_secret(self) -> Secret:
        return Secret("correct horse")

    def ask(self) -> str:
        return self.console.input("What?")

    def next_version(self, version: Version) -> Version:
        return Version(version.number + 1)

    def tell_of(self, other: Node) -> tuple[str, Node]:
        return repr(other), other

    def note(self, directory: str) -> str:
        return note(directory, self.host.slug)

    @serial(2)
    def note_in_batches(self, directory: str, failing: str = "") -> str:
        note(directory, self.host.slug)
        if self.host.slug == failing:
            raise ValueError("as asked")
        return self.host.slug

    def write(self, path: str) -> None:
        self.host.run(f"touch {path}")

    def take_time_on(self, slug: str) -> None:
        if self.host.slug == slug:
            self.host.run("sleep 0.2")

    def fail_and_note(self, directory: str) -> None:
        note(directory, self.host.slug)
        raise ValueError("as asked")

    def wait_for_each_other(self) -> None:
        meeting.wait(10)
        self.console.pty.write(f"{self.host.slug}\n")

    def wait_from_the_second(self, directory: str) -> str:
        note(directory, self.host.slug)
        if self.host.slug != "one":
            self.host.run(f"echo $$ > {directory}/pid; exec sleep 60")
        return self.host.slug

    def wait_on(self, slug: str, directory: str) -> str:
        """Wait until there is a file, on one of the hosts."""
        note(directory, self.host.slug)
        if self.host.slug == slug:
            until(Path(directory, "go").exists)
        return self.host.slug

    def wait_for_go(self, directory: str) -> str:
        return self.wait_on(self.host.slug, directory)

    def fail_on_one_or_wait(self, directory: str) -> str:
        """Fail on the first host, and return from the others, when there is a file that says so."""
        note(directory, self.host.slug)
        if self.host.slug == "one":
            until(Path(directory, "fail").exists)
            raise ValueError("as asked")
        until(Path(directory, "go").exists)
        return self.host.slug

    def kill_worker_on(self, slug: str, directory: str, after: str = "") -> str:
        """Kill the worker on one of the hosts, once another one was begun."""
        note(directory, self.host.slug)
        if self.host.slug == slug:
            until(lambda: not after or begun(Path(directory)).get(after))
            os.kill(os.getpid(), signal.SIGKILL)
        return self.host.slug

    class app(Node):
        def tell(self) -> str:
            return f"{self!r} on {self.host.slug}"

    class per_host(ParallelNode):
        def tell(self) -> str:
            return f"{self!r} on {self.host.slug}"


# Where the four hosts of a farm wait for each other, as far as they are in one process.
meeting = threading.Barrier(4)


def note(directory: str, slug: str) -> str:
    """Note in a file that a host was begun, and in which process."""
    with Path(directory, slug).open("a") as file:
        file.write(f"{os.getpid()}\n")
    return slug


def begun(directory: Path) -> dict[str, int]:
    """Return how often each host was begun."""
    return {
        host.slug: len(Path(directory, host.slug).read_text().splitlines())
        for host in Site.Hosts.web
        if Path(directory, host.slug).exists()
    }


class Site(Node):
    class Hosts:
        web = LocalHost1, LocalHost2, LocalHost3, LocalHost4
        db = LocalHost4, LocalHost5

    @map_roles("web", db="db")
    class farm(Farm.Array):
        @map_roles("db")
        class per_db(ParallelNode.Array):
            def tell(self) -> str:
                return f"{self.parent.host.slug}-{self.host.slug}"

            def fail_on_five(self) -> str:
                if self.host.slug == "five":
                    raise ValueError("five is broken")
                return str(self.tell())

        def tell_of_dbs(self) -> Any:
            return self.per_db.tell()

        def fail_in_dbs(self) -> Any:
            return self.per_db.fail_on_five()

    def greet_all(self) -> list[str]:
        return list(self.farm.greet())


class Other(ParallelNode):
    class Hosts:
        host = LocalHost2

    def tell(self) -> str:
        return self.host.slug


class Changing(ParallelNode):
    """A tree with other hosts in each process that imports it."""

    class Hosts:
        host = (LocalHost1, LocalHost2) if parent_process() is None else (LocalHost2, LocalHost1)

    def note(self, directory: str) -> str:
        return note(directory, self.host.slug)


def make_executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1)


@contextlib.contextmanager
def open_threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def begin() -> str:
    return "no executor"
