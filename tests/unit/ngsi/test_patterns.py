"""What users of Orion write in idPattern, typePattern and `~=`, and what it matches."""

from __future__ import annotations

import pytest

from ngsi.patterns import (
    MAX_PATTERN_LENGTH,
    MAX_REPETITIONS,
    InvalidPattern,
    compile_pattern,
)

FOUND = [
    ("ow", "yellow"),  # anywhere
    ("^Room", "Room1"),
    ("1$", "Room1"),
    ("^Room1$", "Room1"),
    ("^Room.*", "Room1"),
    (".*oom.*", "Room1"),
    ("^(Room|Hall)[0-9]+$", "Hall12"),
    ("^Room1$|^Room2$", "Room2"),
    ("^Room|^Hall", "Hall2"),
    ("Room|Hall", "a Hall"),
    ("^Room|1$", "Hall1"),
    ("^Room|1$", "Room2"),
    ("1$|2$", "Room2"),
    ("a||b", "anything"),
    ("()", ""),
    ("^$", ""),
    ("SENSOR\\d{2}", "SENSOR42"),
    ("^urn:ngsi-ld:[[:alpha:]]+:[[:digit:]]{3}$", "urn:ngsi-ld:Room:001"),
    ("^[^[:space:]]+$", "Room1"),
    ("^a.c$", "a\nc"),
    ("^a[^b]c$", "a\nc"),
    ("^.$", "ü"),
    ("^.$", "🚀"),
    ("^[à-ü]+$", "éà"),
    ("^[^a]$", "🚀"),
    ("^a{2}$", "aa"),
    ("^a{,2}$", "a"),
    ("^a{2,}$", "aaaa"),
    ("^(ab){1,2}$", "abab"),
    ("^a**$", "aaa"),  # a repeated repetition
    ("^a{2}{2}$", "aaaa"),
    ("a)", "(a)"),  # a ) alone is a literal
    ("^]$", "]"),
    ("^}$", "}"),
    ("\\.\\*\\[\\(\\{\\|\\^\\$\\?\\+\\\\", ".*[({|^$?+\\"),
    ("^\\-\\/\\_$", "-/_"),
    # GNU extensions
    ("\\bRoom\\b", "the Room 1"),
    ("o\\Bo", "Room"),
    ("\\<Room\\>", "the Room 1"),
    ("\\`Room\\'", "Room"),
    ("^\\w+\\W\\s\\S$", "ab- c"),
    ("^\\s$", "\v"),
    # bracket expressions
    ("^[]a]+$", "a]"),
    ("^[^]a]$", "b"),
    ("^[a-]+$", "-a"),
    ("^[--/]$", "."),
    ("^[\\.]+$", "\\."),
    ("^[\\]$", "\\"),
    ("^[[.-.]a]+$", "a-"),
    ("^[[=a=]]$", "a"),
    ("^[*.()|]+$", "(*.|)"),
    # the readings of PCRE that do not contradict
    ("^[\\d]+$", "42"),
    ("^[\\w.-]+$", "a.b-c_1"),
    ("^[^\\s]+$", "ab"),
    ("^[\\D\\S\\W]$", "x"),
    ("^[\\[\\]]+$", "[]"),
    ("^[a\\-z]+$", "a-z"),
    ("^[\\w-.]+$", "a.-"),  # no range after a class
    ("^[.-\\d]+$", "-.4"),
    ("^[a-c-e]+$", "b-e"),
    ("^a\\nb\\t$", "a\nb\t"),
    ("^(?:ab)+$", "abab"),
    ("\\ARoom\\z", "Room"),
    ("^a+?$", "aa"),
    # the manual's way around look-ahead: not Wea...
    ("^(([^\\nW].{2}|.[^\\ne].{1}|.{2}[^\\na]).*|.{0,2})$", "West"),
]

NOT_FOUND = [
    ("ow", "black"),
    ("^Room", "aRoom"),
    ("1$", "Room1a"),
    ("^Room1$", "Room12"),
    ("^Room1$|^Room2$", "Room12"),
    ("^Room|1$", "a Room2"),
    ("1$|^Room$", "Room2"),
    ("^$", "a"),
    (".+", ""),
    ("room", "Room"),
    ("^.$", "ab"),
    ("a^b", "ab"),
    ("a\\.b", "axb"),
    ("^a\\*$", "aaa"),  # an escaped * repeats nothing
    ("\\.*$^", "a"),
    ("^a+?$", "b"),
    ("^ba+?$", "b"),  # reluctant: at least one
    ("^[\\d]$", "d"),
    ("^[^\\.]$", "."),
    ("\\<oom", "Room"),
    ("Roo\\>", "Room"),
    ("^[a\\-z]$", "b"),
    ("^\\d$", "٣"),  # digits are those of ASCII
    ("a{0}b$", "a"),
    ("^(([^\\nW].{2}|.[^\\ne].{1}|.{2}[^\\na]).*|.{0,2})$", "Weather"),
]

REFUSED = [
    ("*", "nothing to repeat"),
    ("a|+", "nothing to repeat"),
    ("(?a)", "(? is not supported"),
    ("(?=a)", "(? is not supported"),
    ("(?i)a", "(? is not supported"),
    ("^*", "nothing to repeat"),
    ("\\b+", "nothing to repeat"),
    ("(a", "unmatched ("),
    ("[a", "unmatched ["),
    ("[]", "unmatched ["),
    ("[[:alpha:]", "unmatched ["),
    ("[[:alpha", "unmatched [:"),
    ("[[:letter:]]", "unknown character class"),
    ("[[.hyphen.]]", "unknown collating element"),
    ("[z-a]", "range with its ends reversed"),
    ("a\\", "trailing backslash"),
    ("a{", "malformed repetition"),
    ("a{x}", "malformed repetition"),
    ("a{}", "malformed repetition"),
    ("a{2,1}", "limits reversed"),
    (f"a{{{MAX_REPETITIONS + 1}}}", f"more than {MAX_REPETITIONS} repetitions"),
    (f"a{{{MAX_REPETITIONS}}}b{{1}}", f"more than {MAX_REPETITIONS} repetitions"),
    ("(.{100}){100}", ""),  # the engine refuses it in its own words
    ("(a)\\1", "back-reference \\1"),
    ("\\p{L}", "escape \\p"),
    ("\\<.", "before a word character"),
    ("\\<a*", "before a word character"),
    (".\\>", "after a word character"),
    ("a*\\>", "after a word character"),
    ("a" * (MAX_PATTERN_LENGTH + 1), f"longer than {MAX_PATTERN_LENGTH}"),
    ("\ud800", "surrogate"),
]


@pytest.mark.parametrize(("pattern", "subject"), FOUND)
def test_finds(pattern: str, subject: str) -> None:
    assert compile_pattern(pattern).search(subject) is True


@pytest.mark.parametrize(("pattern", "subject"), NOT_FOUND)
def test_does_not_find(pattern: str, subject: str) -> None:
    assert compile_pattern(pattern).search(subject) is False


@pytest.mark.parametrize(("pattern", "reason"), REFUSED)
def test_refuses_with_reason(pattern: str, reason: str) -> None:
    with pytest.raises(InvalidPattern) as refusal:
        compile_pattern(pattern)
    assert reason in str(refusal.value)
    assert str(refusal.value)


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("^Room", "Room"),
        ("^Room.*$", "Room"),
        ("^Room1$", "Room1"),
        ("(^Room[0-9]+)", "Room"),
        ("^Roo?m", "Ro"),
        ("^Roo*", "Ro"),
        ("^a\\.b", "a.b"),
        ("^Room$|^Rope", "Ro"),
        ("\\`Room", "Room"),
        ("^Room|Hall", ""),
        ("Room", ""),
        ("^.*Room", ""),
        ("^(Room|Hall)", ""),
    ],
)
def test_literal_prefix_is_what_every_match_starts_with(pattern: str, prefix: str) -> None:
    assert compile_pattern(pattern).literal_prefix == prefix


@pytest.mark.parametrize(
    "pattern", [".*", "^.*$", "^.*", ".*$", ".*.*", ".*?", "(.*)", "^", "$", "a|.*", ".{0,}", ""]
)
def test_matches_everything(pattern: str) -> None:
    compiled = compile_pattern(pattern)
    assert compiled.matches_everything
    assert compiled.search("")
    assert compiled.search("Room\n1")


@pytest.mark.parametrize("pattern", [".+", "^$", ".", "\\.*a", "\\**a", "[.*]", "a.*", "^.+$"])
def test_does_not_claim_to_match_everything(pattern: str) -> None:
    assert not compile_pattern(pattern).matches_everything


@pytest.mark.parametrize(
    ("pattern", "expression"),
    [
        (".*Room.*", "Room"),
        ("^.*Room.*$", "Room"),
        ("^Room.*$", "\\ARoom"),
        ("(.*Room.*)", "Room"),
        (".*a|b.*", "a|b"),
    ],
)
def test_expression_has_no_idle_ends(pattern: str, expression: str) -> None:
    assert compile_pattern(pattern).expression == expression


@pytest.mark.parametrize("pattern", ["\\.*a", "a\\.*", "(.*)+a", ".*+a", ".+a"])
def test_keeps_what_only_looks_idle(pattern: str) -> None:
    compiled = compile_pattern(pattern)
    assert compiled.expression not in ("a", "")


def test_patterns_are_equal_by_their_text() -> None:
    again = compile_pattern.__wrapped__("^Room")
    assert again is not compile_pattern("^Room")
    assert again == compile_pattern("^Room")
    assert hash(again) == hash(compile_pattern("^Room"))
    assert again != compile_pattern("^Room.*")
    assert again != "^Room"


def test_a_subject_with_half_a_surrogate_pair_is_just_not_found() -> None:
    assert not compile_pattern("^[a-z]+$").search("\ud800")


def test_a_pattern_that_makes_others_explode_is_searched_in_linear_time() -> None:
    # Backtracking needs some 2**5000 steps here: this test ends or times out.
    assert not compile_pattern("^(a|a)*(a|aa)+$").search("a" * 5000 + "b")


def test_deep_nesting_is_no_recursion_of_ours() -> None:
    depth = MAX_PATTERN_LENGTH // 2 - 1
    assert compile_pattern("(" * depth + "a" + ")" * depth).search("a")
