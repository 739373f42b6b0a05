"""Many names in few characters, ``web[01-18]``, and what a user means by such a text.

The notation is that of ClusterShell: items are joined by commas, and the numbers that vary are in
brackets. A backslash takes the meaning from the character after it, and ``''`` is the empty name.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

__all__ = ["NamePattern", "fold", "natural_key", "parse"]


def fold(names: Iterable[str]) -> str:
    """Return names in short, sorted naturally: ``db1,web[01-18]``; ``""`` when there are none.

    What `parse` makes of the text matches exactly these names. A padded number is another than the
    same without padding. Where a name has several numbers, one of them is in brackets: the last
    for which there is another name that differs only there.
    """
    items = []
    left = set(names)
    numbers = {name: list(_NUMBER.finditer(name)) for name in left}
    for run in range(1, 1 + max(map(len, numbers.values()), default=0)):
        families: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        for name in left:
            if len(numbers[name]) >= run:
                start, end = numbers[name][-run].span()
                families[name[:start], name[end:]][name[start:end]] = name
        for (before, after), family in families.items():
            if len(family) > 1:
                left.difference_update(family.values())
                text = f"{_escape(before)}[{_fold_numbers(family)}]{_escape(after)}"
                items.append((min(map(natural_key, family.values())), text))
    items += [(natural_key(name), _escape(name) or _EMPTY_NAME) for name in left]
    return ",".join(text for _, text in sorted(items))


def parse(text: str) -> NamePattern:
    """Return which names a user asks for, as in ``web[01-18,20],db*,!db3``.

    Items are separated by commas. Each is a name, in which ``*`` stands for any text, ``?`` for
    one character and brackets for a choice of numbers (``[1-10]`` without padding, ``[01-10]``
    with it). The last item that matches a name decides: it selects the name, or leaves it out
    when it starts with ``!``. Without a selection before it, such an item leaves out of all names.

    Raise ValueError for what cannot be meant, also for a text or an item that is empty.
    """
    items = []
    start = 0
    for separator in _SEPARATOR.finditer(text):
        if separator[0] in (",", ""):
            items.append(_parse_item(_strip(text[start : separator.start()]), text))
            start = separator.end()
    return NamePattern(tuple(items))


@dataclass(frozen=True)
class NamePattern:
    """Which names a user asks for; `parse` makes it."""

    items: tuple[_Item, ...]

    def matches(self, *names: str) -> bool:
        """Whether what goes by these names is asked for. Upper and lower case are different."""
        last = max((self._positions.get(name, -1) for name in names), default=-1)
        for position, item in self._choices:
            if position < last:
                break
            if any(map(item.matches, names)):
                last = position
        return self.items[0].is_exclusion if last < 0 else not self.items[last].is_exclusion

    def select(self, names: Iterable[str]) -> list[str]:
        """Return the names that are asked for, in the order in which they are given."""
        return [name for name in names if self.matches(name)]

    def unmatched(self, names: Iterable[str]) -> list[str]:
        """Return the items, as they were typed, that match none of these names.

        Exclusions too: whoever mistypes one would otherwise get the name that was to be left out.
        """
        known = dict.fromkeys(names)

        def is_known(item: _Item) -> bool:
            return any(map(item.matches, known)) if item.name is None else item.name in known

        return [item.text for item in self.items if not is_known(item)]

    @cached_property
    def _positions(self) -> dict[str, int]:
        """The items that are a name: thousands that do not fold are not to be tried one by one."""
        return {item.name: at for at, item in enumerate(self.items) if item.name is not None}

    @cached_property
    def _choices(self) -> list[tuple[int, _Item]]:
        """The other items, the last first, and where they are."""
        return [(at, item) for at, item in enumerate(self.items) if item.name is None][::-1]


@dataclass(frozen=True)
class _Item:
    text: str
    is_exclusion: bool
    parts: tuple[_Literal | _Wildcard | _Choice, ...]

    @property
    def name(self) -> str | None:
        """The name that it is; None for a choice of names."""
        texts = [part.text for part in self.parts if isinstance(part, _Literal)]
        return "".join(texts) if len(texts) == len(self.parts) else None

    def matches(self, name: str) -> bool:
        # All places where a part can end are followed at once, so that no combination of stars
        # takes more than a few passes over the name.
        ends = {0}
        for part in self.parts:
            ends = {end for start in ends for end in part.ends(name, start)}
        return len(name) in ends


@dataclass(frozen=True)
class _Literal:
    text: str

    def ends(self, name: str, start: int) -> Iterator[int]:
        """Yield where this part can end when it starts there."""
        if name.startswith(self.text, start):
            yield start + len(self.text)


@dataclass(frozen=True)
class _Wildcard:
    is_star: bool

    def ends(self, name: str, start: int) -> Iterable[int]:
        if self.is_star:
            return range(start, len(name) + 1)
        return range(start + 1, min(start + 1, len(name)) + 1)


@dataclass(frozen=True)
class _Choice:
    ranges: tuple[_Ranges, ...]
    longest: int

    def ends(self, name: str, start: int) -> Iterator[int]:
        digits = _DIGITS.match(name, start, start + self.longest)
        for end in range(start + 1, digits.end() + 1 if digits else 0):
            if any(name[start:end] in ranges for ranges in self.ranges):
                yield end


@dataclass(frozen=True)
class _Ranges:
    """Ranges of numbers that are padded to the same width (1: not padded)."""

    width: int
    firsts: tuple[_Size, ...]  # sorted
    furthest: tuple[_Size, ...]  # where the range of this first, or one before it, ends

    def __contains__(self, number: str) -> bool:
        if len(number) < self.width or (len(number) > self.width and number[0] == "0"):
            return False
        size = _size(number)
        started = bisect_right(self.firsts, size)
        return started > 0 and size <= self.furthest[started - 1]


# The number of digits and the digits, so that no number is too big.
_Size = tuple[int, str]
_EMPTY_NAME = "''"
_SPECIAL = re.compile(r"[\[\],*?!\\'\"\s]")
_SEPARATOR = re.compile(r"\\.|\[[^\]]*+\]?|,|\Z", re.DOTALL)
_PART = re.compile(
    r"\\(?P<escaped>.)|\[(?P<choice>[^\]]*+)\]|(?P<wildcard>[*?])|(?P<literal>[^\[\]*?\\]+)|.",
    re.DOTALL,
)
_DIGITS = re.compile("[0-9]+")
# Longer numbers stay as they are: they are identifiers, and int() has a limit.
_NUMBER = re.compile("(?<![0-9])[0-9]{1,18}(?![0-9])")
_RANGE = re.compile("(?P<first>[0-9]+)(?:-(?P<last>[0-9]+))?")


def _parse_item(item: str, text: str) -> _Item:
    is_exclusion = item.startswith("!")
    body = item.removeprefix("!")
    if not body:
        raise ValueError(f"{item or text!r}: {'nothing after !' if item else 'an item is empty'}")
    parts: list[_Literal | _Wildcard | _Choice] = []
    for part in _PART.finditer("" if body == _EMPTY_NAME else body):
        if part["choice"] is not None:
            parts.append(_parse_choice(part["choice"], item))
        elif part["wildcard"]:
            parts.append(_Wildcard(part["wildcard"] == "*"))
        elif literal := part["escaped"] or part["literal"]:
            parts.append(_Literal(literal))
        elif part[0] == "\\":
            raise ValueError(f"{item!r}: nothing after the \\")
        else:
            raise ValueError(f"{item!r}: {part[0]} without its {'[' if part[0] == ']' else ']'}")
    return _Item(item, is_exclusion, tuple(parts))


def _parse_choice(choice: str, item: str) -> _Choice:
    ranges = defaultdict(list)
    longest = 0
    for text in map(str.strip, choice.split(",")):
        if not (match := _RANGE.fullmatch(text)):
            what = f"{text!r} is not a number or a range like 1-10" if text else "a range is empty"
            raise ValueError(f"{item!r}: {what}")
        first, last = match["first"], match["last"] or match["first"]
        if _is_padded(last) and len(first) != len(last):
            raise ValueError(f"{item!r}: the ends of {text!r} are padded differently")
        if _size(first) > _size(last):
            raise ValueError(f"{item!r}: the range {text!r} ends before it starts")
        ranges[_padding(first)].append((_size(first), _size(last)))
        longest = max(longest, len(last))
    by_width = []
    for width, pairs in ranges.items():
        firsts, lasts = zip(*sorted(pairs), strict=True)
        by_width.append(_Ranges(width, firsts, tuple(accumulate(lasts, max))))
    return _Choice(tuple(by_width), longest)


def _strip(item: str) -> str:
    """Return an item without the blanks around it, except for one after a backslash."""
    stripped = item.rstrip()
    if (len(stripped) - len(stripped.rstrip("\\"))) % 2:
        stripped = item[: len(stripped) + 1]
    return stripped.lstrip()


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", text)


def _is_padded(number: str) -> bool:
    return len(number) > 1 and number[0] == "0"


def _padding(number: str) -> int:
    """Return the width to which a number, and those of a range from it on, are padded."""
    return len(number) if _is_padded(number) else 1


def _size(number: str) -> _Size:
    """Return what orders numbers of any length by their size."""
    digits = number.lstrip("0")
    return len(digits), digits


def natural_key(name: str) -> list[tuple[int, str, int]]:
    """Return what orders names as people do: ``web2`` before ``web10``."""
    pieces = re.split("([0-9]+)", name)
    # Texts and numbers alternate, so that a text is only ever compared with a text.
    return [
        (*_size(piece), len(piece)) if index % 2 else (0, piece, 0)
        for index, piece in enumerate(pieces)
    ]


def _fold_numbers(numbers: Iterable[str]) -> str:
    """Return what is in the brackets for different numbers."""
    ranges: list[list[str]] = []
    # The range that was last added to, by its padding: after 09, 10 goes on with it, and 010 not.
    open_ranges: dict[int, list[str]] = {}
    for number in sorted(numbers, key=lambda number: (int(number), len(number))):
        widths = range(len(number), 0, -1)
        if _is_padded(number):
            widths = widths[:1]
        for width in widths:
            numbers_so_far = open_ranges.get(width)
            if numbers_so_far and int(numbers_so_far[1]) == int(number) - 1:
                numbers_so_far[1] = number
                break
        else:
            new_range = open_ranges[_padding(number)] = [number, number]
            ranges.append(new_range)
    return ",".join(first if first == last else f"{first}-{last}" for first, last in ranges)
