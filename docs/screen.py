"""A Sphinx extension: what a terminal shows, in its colours.

A block of the language ``screen`` is text with the sequences for colours that terminals know
(ECMA-48's SGR), as ``illustrate.py`` makes it. HTML shows it in colours; everything else, the
search index too, has the text alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments.lexer import Lexer
from pygments.token import Token, _TokenType
from sphinx.application import Sphinx

__all__ = ["ScreenLexer", "setup", "strip"]

_SEQUENCE = re.compile(r"\x1b\[([\d;]*)m")

#: Of each kind, the number that begins it and the name of a token.
_ON = {1: "Bold", 2: "Dim", 3: "Italic", 4: "Underline", 7: "Reverse"}
#: What each number ends.
_OFF = {22: ("Bold", "Dim"), 23: ("Italic",), 24: ("Underline",), 27: ("Reverse",)}
_COLOURS = ("Black", "Red", "Green", "Yellow", "Blue", "Magenta", "Cyan", "White")

# In an attribute of a document, where control characters are none of XML's.
_ESCAPE, _SHOWN_ESCAPE = "\x1b", "␛"


def strip(text: str) -> str:
    """Return a text without its colours."""
    return _SEQUENCE.sub("", text)


class ScreenLexer(Lexer):
    """Text in the colours of a terminal: tokens such as ``Token.Screen.Bold.Red``."""

    name = "Screen"
    aliases = ("screen",)

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, _TokenType, str]]:
        """Give the texts between sequences, each with what these say of it."""
        attributes: set[str] = set()
        colours = {"": "", "On": ""}
        position = 0
        for match in [*_SEQUENCE.finditer(text), None]:
            end = match.start() if match else len(text)
            if end > position:
                yield position, _make_token(attributes, colours), text[position:end]
            if match:
                _apply([int(code or 0) for code in match[1].split(";")], attributes, colours)
                position = match.end()


def _apply(codes: list[int], attributes: set[str], colours: dict[str, str]) -> None:
    numbers = iter(codes)
    for code in numbers:
        colour = _COLOURS[code % 10] if code % 10 < len(_COLOURS) else ""
        if code == 0:
            attributes.clear()
            colours.update({"": "", "On": ""})
        elif code in _ON:
            attributes.add(_ON[code])
        elif code in _OFF:
            attributes.difference_update(_OFF[code])
        elif code in (38, 48):
            # More than 16 colours: nothing of ours has them. Their numbers are none of these.
            for _ in range({5: 1, 2: 3}.get(next(numbers, 0), 0)):
                next(numbers, None)
        elif code // 10 in (3, 9):
            colours[""] = f"Bright{colour}" if code >= 90 and colour else colour
        elif code // 10 in (4, 10):
            colours["On"] = f"Bright{colour}" if code >= 100 and colour else colour


def _make_token(attributes: set[str], colours: dict[str, str]) -> _TokenType:
    token = Token.Screen
    for name in _ON.values():
        if name in attributes:
            token = getattr(token, name)
    for begin, name in colours.items():
        if name:
            token = getattr(token, begin + name)
    return token if token is not Token.Screen else Token.Text


class screen(nodes.literal_block):
    """A block whose text has no colours, with what it is in colours beside it."""


def _find_screens(app: Sphinx, document: nodes.document) -> None:
    for block in list(document.findall(nodes.literal_block)):
        if block.get("language") != "screen" or isinstance(block, screen):
            continue
        text = block.astext()
        plain = strip(text)
        new = screen(plain, plain, **block.attributes)
        new["language"] = "text"
        new["coloured"] = text.replace(_ESCAPE, _SHOWN_ESCAPE)
        new.source, new.line = block.source, block.line
        block.replace_self(new)


def _visit_html(translator: Any, node: screen) -> None:
    text = node["coloured"].replace(_SHOWN_ESCAPE, _ESCAPE)
    shown = translator.highlighter.highlight_block(text, "screen", location=node)
    tag = translator.starttag(node, "div", suffix="", CLASS="highlight-screen notranslate")
    translator.body.append(f"{tag}{shown}</div>\n")
    raise nodes.SkipNode


def _add_style(app: Sphinx, config: Any) -> None:
    config.html_static_path = [
        *config.html_static_path,
        str(Path(__file__).resolve().parent / "_static"),
    ]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the language, the nodes and the style."""
    app.add_lexer("screen", ScreenLexer)
    # What is not said here is as for any other block of text.
    app.add_node(screen, html=(_visit_html, None))
    app.connect("doctree-read", _find_screens)
    app.connect("config-inited", _add_style)
    app.add_css_file("screen.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
