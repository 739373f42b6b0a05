"""Hosts for tests: this machine, under several names."""

from __future__ import annotations

from deployer.host import LocalHost


class LocalHost1(LocalHost):
    slug = "one"


class LocalHost2(LocalHost):
    slug = "two"


class LocalHost3(LocalHost):
    slug = "three"


class LocalHost4(LocalHost):
    slug = "four"


class LocalHost5(LocalHost):
    slug = "five"
