"""Names are folded to a short text, and such a text selects the names that it stands for."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.utils.folding import fold, parse

# Names that differ in little, so that they fold; names of hosts; and whatever there is.
ALIKE = st.text(st.sampled_from("ab0129-"), max_size=5)
ODD = st.text(st.sampled_from("w019[],*?!-\\'\" /\n٣²"), max_size=6)
HUGE = st.integers(0, 30).map(lambda zeros: f"web1{'0' * zeros}")
NAMES = st.lists(ALIKE | ODD | HUGE | st.text(max_size=4), unique=True, max_size=25)


def numbered(prefix: str, first: int, last: int, width: int = 1) -> list[str]:
    return [f"{prefix}{number:0{width}}" for number in range(first, last + 1)]


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        ([], ""),
        (["db1"], "db1"),
        (["web"], "web"),
        (numbered("web", 1, 18, 2), "web[01-18]"),
        (["web1", "web3", "web4"], "web[1,3-4]"),
        (["web4", "web1", "web3", "web1"], "web[1,3-4]"),
        ([*numbered("web", 1, 18, 2), "db1"], "db1,web[01-18]"),
        (["web10", "web9", "app", "web"], "app,web,web[9-10]"),
        (["r10-x", "r9-y", "r100"], "r9-y,r10-x,r100"),
        # Padding distinguishes, and may end within a range.
        (["web1", "web01"], "web[1,01]"),
        (numbered("web", 8, 11), "web[8-11]"),
        (numbered("web", 98, 101, 3), "web[098-101]"),
        (numbered("web", 98, 101, 2), "web[98-101]"),
        (["web09", "web010"], "web[09,010]"),
        (["web0", "web1", "web00"], "web[0-1,00]"),
        # Of several numbers, one is in brackets.
        (numbered("rack1-node", 1, 3, 2), "rack1-node[01-03]"),
        (["web1.site2", "web2.site2"], "web[1-2].site2"),
        (["r1n1", "r1n2", "r2n2", "r2n3"], "r1n[1-2],r2n[2-3]"),
        (["r1n1", "r2n1", "r3n2", "r3n3"], "r[1-2]n1,r3n[2-3]"),
        (["10.0.0.1", "10.0.0.2"], "10.0.0.[1-2]"),
        (["1", "2"], "[1-2]"),
        # Only ASCII digits are numbers, and very long ones are not.
        (["web٢", "web٣"], "web٢,web٣"),
        ([f"{10**18}", f"{10**18 + 1}"], f"{10**18},{10**18 + 1}"),
        # What would mean something else has a backslash.
        ([""], "''"),
        (["''"], r"\'\'"),
        (["a,b", "a b", "a/b"], r"a\ b,a\,b,a/b"),
        (["a[1-2]"], r"a\[1-2\]"),
        (["!a*?\\"], r"\!a\*\?\\"),
        (["a*1", "a*2"], r"a\*[1-2]"),
    ],
)
def test_names_are_folded(names: list[str], folded: str) -> None:
    assert fold(names) == folded


UNIVERSE = ["db1", "db2", *numbered("web", 1, 12), *numbered("web", 1, 3, 2), "", "Web1", "a,b"]


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("db1", ["db1"]),
        ("web2,db1", ["db1", "web2"]),
        (" db1 , db2\n", ["db1", "db2"]),
        ("db?", ["db1", "db2"]),
        ("db??", []),
        ("web[1-2]", ["web1", "web2"]),
        ("web[01-02]", ["web01", "web02"]),
        ("web[01-12]", ["web10", "web11", "web12", "web01", "web02", "web03"]),
        ("web[9-11, 2]", ["web2", "web9", "web10", "web11"]),
        ("web[03]", ["web03"]),
        ("web[1-9,2-3,11,5]", [*numbered("web", 1, 9), "web11"]),
        ("web[1]2", ["web12"]),
        ("w*[2]", ["web2", "web12", "web02"]),
        ("*b[1-2]", ["db1", "db2", "web1", "web2", "Web1"]),
        ("[1-2]", []),
        ("WEB1", []),
        ("''", [""]),
        (r"a\,b", ["a,b"]),
        (r"a*\b", ["a,b"]),
        ("web[1-9],!web[3-9]", ["web1", "web2"]),
        ("web*, !web0*, !web1?", numbered("web", 1, 9)),
        ("web1*,!web1?,web12", ["web1", "web12"]),
        ("!w*,!W*,!''", ["db1", "db2", "a,b"]),
        ("!*", []),
        ("*,!web*,!?*b,!''", ["db1", "db2", "Web1"]),
    ],
)
def test_a_pattern_selects_names_in_their_own_order(text: str, selected: list[str]) -> None:
    assert parse(text).select(UNIVERSE) == selected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'': an item is empty"),
        ("  ", "'  ': an item is empty"),
        ("web1,,db1", "'web1,,db1': an item is empty"),
        ("web1,", "'web1,': an item is empty"),
        ("db1,!", "'!': nothing after !"),
        ("db1,web[3-", "'web[3-': [ without its ]"),
        ("db1,web3],db2", "'web3]': ] without its ["),
        ("web[5-1],db1", "'web[5-1]': the range '5-1' ends before it starts"),
        ("!web[a-b]", "'!web[a-b]': 'a-b' is not a number or a range like 1-10"),
        ("web[3-]", "'web[3-]': '3-' is not a number or a range like 1-10"),
        ("web[1-9/2]", "'web[1-9/2]': '1-9/2' is not a number or a range like 1-10"),
        ("web[٢-٣]", "'web[٢-٣]': '٢-٣' is not a number or a range like 1-10"),
        ("web[]", "'web[]': a range is empty"),
        ("web[1,,2]", "'web[1,,2]': a range is empty"),
        ("web[1-02]", "'web[1-02]': the ends of '1-02' are padded differently"),
        ("web[001-02]", "'web[001-02]': the ends of '001-02' are padded differently"),
        ("web\\", "'web\\\\': nothing after the \\"),
    ],
)
def test_an_error_names_the_item_and_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_items_that_match_nothing_are_told_as_they_were_typed() -> None:
    pattern = parse(r" web[1-3],wbe*, !db7,db\1,!web2 ,web[01,04-09]")
    assert pattern.unmatched(["web1", "web2", "db1", "web01"]) == ["wbe*", "!db7"]
    assert pattern.unmatched([]) == [item.text for item in pattern.items]


@pytest.mark.parametrize(
    ("text", "name", "is_match"),
    [
        ("web[1-999999999]", "web123456789", True),
        ("web[1-999999999]", "web1000000000", False),
        (f"web[1-{'9' * 9000}]", "web" + "8" * 9000, True),
        (f"web[1-{'8' * 9000}]", "web" + "9" * 9000, False),
        ("*a" * 30, "a" * 200 + "b", False),
        ("*[1-9]" * 20 + "x", "1" * 200, False),
    ],
)
def test_nothing_is_tried_one_by_one(text: str, name: str, is_match: bool) -> None:
    start = time.process_time()
    assert parse(text).matches(name) is is_match
    assert time.process_time() - start < 2


def test_thousands_of_names_are_folded_and_selected_quickly() -> None:
    names = [f"web{number}" for number in range(20_000) if number % 3 and number % 7]
    start = time.process_time()
    assert parse(fold(names)).select(numbered("web", 0, 19_999)) == names
    assert time.process_time() - start < 5


def test_thousands_of_names_that_do_not_fold_are_looked_up() -> None:
    names = [f"i-{random.Random(number).randbytes(8).hex()}" for number in range(5_000)]
    start = time.process_time()
    pattern = parse(fold(names))
    assert len(pattern.items) > 4_000
    assert pattern.select([*names, "i-0"]) == names
    assert pattern.unmatched(names[1:]) == names[:1]
    assert time.process_time() - start < 2


# Few names and wildcards, so that items contradict one another.
ITEMS = st.tuples(
    st.sampled_from(["", "!"]), st.sampled_from(["a", "b", "a1", "b1", "?", "a*", "*1"])
)


@given(items=st.lists(ITEMS, min_size=1, max_size=6))
def test_the_last_item_that_matches_decides(items: list[tuple[str, str]]) -> None:
    pattern = parse(",".join(map("".join, items)))
    for names in (["a"], ["b"], ["a1"], ["c1"], ["cc"], ["b", "a1"]):
        signs = [sign for sign, item in items if parse(item).select(names)]
        # Where none matches, an exclusion at the beginning has left out of all.
        expected = not signs[-1] if signs else bool(items[0][0])
        assert pattern.matches(*names) is expected


@settings(max_examples=250, deadline=None)
@given(names=NAMES.filter(bool), others=NAMES)
def test_parsing_what_was_folded_selects_exactly_those_names(
    names: list[str], others: list[str]
) -> None:
    universe = [*names, *(name for name in others if name not in names)]
    pattern = parse(fold(names))
    assert pattern.select(universe) == names
    assert pattern.unmatched(universe) == []


@settings(max_examples=100, deadline=None)
@given(names=NAMES, seed=st.randoms())
def test_the_order_of_names_does_not_change_how_they_fold(
    names: list[str], seed: random.Random
) -> None:
    shuffled = [*names, *names[:3]]
    seed.shuffle(shuffled)
    assert fold(shuffled) == fold(names)


@given(first=st.integers(0, 30), length=st.integers(1, 120), width=st.integers(1, 4))
def test_a_range_matches_the_numbers_that_it_would_expand_to(
    first: int, length: int, width: int
) -> None:
    last = first + length
    pattern = parse(f"n[{first:0{width}}-{last:0{width}}]")
    universe = [f"n{number:0{w}}" for w in range(1, 5) for number in range(160)]
    # Without a zero in front, nothing says that numbers are padded.
    width = width if len(str(first)) < width else 1
    assert set(pattern.select(universe)) == set(numbered("n", first, last, width))


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from("w01[]-,*?!\\' ٣")) | st.text())
def test_any_text_is_a_pattern_or_a_value_error(text: str) -> None:
    try:
        pattern = parse(text)
    except ValueError:
        return
    assert [item.text for item in pattern.items]
    assert pattern.select(["w0", "w1"]) == [name for name in ("w0", "w1") if pattern.matches(name)]
