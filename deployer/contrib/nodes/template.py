"""Texts with values of a node in them, for what its files are to hold."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, Self

from ...exceptions import DeployerException
from ...query import ATOM, Operation, Q, Query, QueryResult
from ...secret import Secret
from ...utils.string_utils import abbreviate

__all__ = ["JinjaTemplate", "Template"]


class Template(Query):
    """A text in which ``$name`` and ``${name}`` stand for values, as in Python's own
    ``string.Template``.

    It is a query, evaluated each time when the attribute is read, and so may its values be::

        class site(Config):
            remote_path = "/etc/nginx/conf.d/site.conf"
            content = Template("listen $port; root $root;", port=80, root=Q.parent.directory)

    A ``$`` itself is written ``$$``. A name without a value is an error, which says where it is.
    A :class:`~deployer.secret.Secret` is put in as the text that it hides.

    :param values: what the names stand for; each a value or a query.
    """

    __slots__ = ()

    def __init__(self, text: str, /, **values: object) -> None:
        if not isinstance(text, str):
            raise TypeError(
                f"a template is a text, not {text!r}; {type(self).__name__}.from_file() reads one"
            )
        self._query_set_up(text, None, values)

    @classmethod
    def from_file(cls, path: str, /, **values: object) -> Self:
        """Return the template that a file of this machine holds; it is read whenever it is needed.

        :param path: seen from the directory of the script that this is written in.
        """
        template = cls.__new__(cls)
        template._query_set_up(None, os.path.expanduser(path), values)
        return template

    def _query_set_up(self, text: str | None, path: str | None, values: dict[str, object]) -> None:
        # The query is written where this module is called.
        frame = sys._getframe(1)
        while frame.f_code.co_filename == __file__ and frame.f_back is not None:
            frame = frame.f_back
        # What is typed has no file: it is seen from the current directory.
        directory = os.path.dirname(os.path.abspath(frame.f_code.co_filename))
        super().__init__(_Rendering(self, text, path, directory, values))
        self._query_filename = frame.f_code.co_filename
        self._query_line = frame.f_lineno

    @staticmethod
    def _query_render(text: str, values: Mapping[str, object], where: str, directory: str) -> str:
        """Return a text with its values in it.

        :param where: what the text is called in errors.
        :param directory: where other files are that it refers to.
        :raises ValueError: when that cannot be done; it says in which line.
        """
        from string import Template as Text

        for found in Text.pattern.finditer(text):
            name = found["named"] or found["braced"]
            line = text.count("\n", 0, found.start()) + 1
            if found["invalid"] is not None:
                raise ValueError(
                    f"{where}, line {line}: no name follows the $; write $$ for a $ itself"
                )
            if name is not None and name not in values:
                raise ValueError(
                    f"{where}, line {line}: there is no value for {name!r}; pass it to the "
                    f"template ({name}=…), or write $${name} for that text itself"
                )
        return Text(text).substitute({name: _reveal(value) for name, value in values.items()})


class JinjaTemplate(Template):
    """A template in the language of Jinja2, which has conditions, loops and filters.

    It is used like :class:`Template`, and takes ``pip install 'deployer[jinja2]'``::

        class pool(Config):
            remote_path = "/etc/nginx/conf.d/pool.conf"
            content = JinjaTemplate.from_file("templates/pool.conf", site=Q.parent)

    where the file may hold ``{% for host in site.hosts.filter('web') %}``. A line with nothing but
    a block leaves none, nothing is escaped, and ``{% include %}`` looks in the directory of the
    file, or of the script.
    """

    __slots__ = ()

    @staticmethod
    def _query_render(text: str, values: Mapping[str, object], where: str, directory: str) -> str:
        try:
            # An extra, which takes a while to import.
            import jinja2
        except ImportError as error:
            raise DeployerException(
                "a JinjaTemplate needs Jinja2, which is not installed: pip install "
                "'deployer[jinja2]'"
            ) from error
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(directory),
            undefined=jinja2.StrictUndefined,
            finalize=_reveal,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        values = {name: _reveal(value) for name, value in values.items()}
        try:
            return environment.from_string(text).render(values)
        except Exception as error:
            message = getattr(error, "message", None) or str(error)
            raise ValueError(
                f"{_find_place(error, where)}: {type(error).__name__}: {message}"
            ) from error


class _Rendering(Operation):
    """The evaluation of a template."""

    def __init__(
        self,
        template: Template,
        text: str | None,
        path: str | None,
        directory: str,
        values: dict[str, object],
    ) -> None:
        self.render = template._query_render
        self.name = type(template).__name__
        self.text = text
        self.path = path
        self.directory = directory
        self.values = values

    def evaluate(self, instance: object) -> tuple[str, list[QueryResult]]:
        found = Q(self.values)._execute_query(instance)
        text, where, directory = self.text, "the template", self.directory
        if text is None:
            assert self.path is not None
            where = os.path.join(directory, self.path)
            directory = os.path.dirname(where)
            with open(where, encoding="utf-8", newline="") as file:
                text = file.read()
        return self.render(text, found.result, where, directory), list(found.subqueries)

    def source(self) -> tuple[str, int]:
        if self.text is None:
            name, argument = f"{self.name}.from_file", repr(self.path)
        else:
            name, argument = self.name, repr(abbreviate(self.text, 40))
        values = [f"{name}={value!r}" for name, value in self.values.items()]
        return f"{name}({', '.join([argument, *values])})", ATOM


def _reveal(value: Any) -> Any:
    return value.reveal() if isinstance(value, Secret) else value


def _find_place(error: BaseException, where: str) -> str:
    """Return in which template, and which line of it, an error of Jinja2 has happened."""
    place = where
    traceback = error.__traceback__
    while traceback is not None:
        # Jinja2 puts the lines of templates into the traceback; that of its text has no name.
        if "__jinja_exception__" in traceback.tb_frame.f_globals:
            name = traceback.tb_frame.f_code.co_filename
            place = f"{where if name.startswith('<') else name}, line {traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place
