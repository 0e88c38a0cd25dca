"""`rigel journal`: the way out, from damage to a journal that starts again."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import orjson
import pytest

from broker.journal import Durability, Journal, JournalDamaged
from broker.journal.command import main
from broker.journal.compaction import compact
from broker.journal.format import FILE_HEADER, read_frames, segment_name, snapshot_name
from broker.journal.recovery import list_directory

MakeJournal: TypeAlias = Callable[..., Path]
ReadStates: TypeAlias = Callable[..., dict[bytes, bytes]]

TICKS = [
    [("put", b"a", b'{"n":1}'), ("put", b"\xff\x00", b'[1,"x"]')],
    [("put", b"b", b'{"n":2}')],
    [("patch", b"a", b'{"n":3}')],
]


def damage(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def frame_ends(path: Path) -> list[int]:
    with path.open("rb") as file:
        file.seek(FILE_HEADER.size)
        return [frame.end for frame in read_frames(file, FILE_HEADER.size, path.stat().st_size)]


def give(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_a_whole_journal_is_verified(
    make_journal: MakeJournal, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = make_journal(TICKS)
    compact(directory, 1)
    make_journal(TICKS)
    assert main(["verify", str(directory)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["FILE", "BYTES", "FRAMES", "RECORDS", "STATE"]
    assert lines[1].split()[0] == snapshot_name(1)
    assert lines[1].split()[3:] == ["3", "ok"]
    assert lines[2].split()[0] == segment_name(2)
    assert lines[2].split()[2:] == ["4", "4", "ok"]


def test_a_torn_tail_is_told_from_damage(
    make_journal: MakeJournal, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = make_journal(TICKS, killed=True)
    path = directory / segment_name(1)
    torn = path.read_bytes()[:-3]
    path.write_bytes(torn)
    assert main(["verify", str(directory)]) == 0
    assert "a start cuts it off" in capsys.readouterr().out
    assert main(["export", str(directory)]) == 0
    assert path.read_bytes() == torn


def test_damage_is_shown_with_segment_and_offset(
    make_journal: MakeJournal, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = make_journal(TICKS)
    make_journal(TICKS)
    first, second = frame_ends(directory / segment_name(1))[:2]
    damage(directory / segment_name(1), second - 1)
    assert main(["verify", str(directory)]) == 1
    out = capsys.readouterr().out
    assert f"damaged at offset {first}: the checksum" in out
    assert segment_name(2) in out
    assert "after the damage" in out
    assert "rigel journal cut" in out


def test_export_gives_json_lines(
    make_journal: MakeJournal, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["export", str(make_journal(TICKS))]) == 0
    captured = capsysbinary.readouterr()
    assert [orjson.loads(line) for line in captured.out.splitlines()] == [
        {"key": "a", "document": {"n": 3}},
        {"key_base64": "/wA=", "document": [1, "x"]},
        {"key": "b", "document": {"n": 2}},
    ]
    assert captured.err == b"3 documents\n"


def test_export_refuses_damage_and_saves_what_is_before_it(
    make_journal: MakeJournal, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = make_journal(TICKS)
    damage(directory / segment_name(1), frame_ends(directory / segment_name(1))[1] - 1)
    assert main(["export", str(directory)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert segment_name(1) in captured.err
    assert main(["export", "--until-damage", str(directory)]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith('{"key":"a","document":{"n":1}}\n')
    assert '"b"' not in captured.out
    assert "2 documents" in captured.err


@pytest.mark.parametrize("place", ["frame", "header", "footer"])
def test_a_damaged_snapshot_is_left_with_what_can_be_read(
    make_journal: MakeJournal, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    directory = make_journal(TICKS)
    compact(directory, 1)
    make_journal([[("put", b"c", b'{"n":4}'), ("patch", b"c", b'{"m":5}')]])
    make_journal([[("patch", b"a", b'{"n":6}'), ("patch", b"b", b'{"n":7}')]])
    path = directory / snapshot_name(1)
    damage(path, {"frame": 100, "header": 3, "footer": path.stat().st_size - 3}[place])
    assert main(["verify", str(directory)]) == 1
    out = capsys.readouterr().out
    assert "damaged at offset" in out
    assert f"{segment_name(3):<26}" in out
    assert "rigel journal import" in out
    assert main(["export", str(directory)]) == 1
    assert main(["export", "--until-damage", str(directory)]) == 1
    captured = capsys.readouterr()
    documents = {
        line["key"]: line["document"]
        for line in map(orjson.loads, captured.out.splitlines())
        if "key" in line
    }
    assert documents.pop("c") == {"n": 4, "m": 5}
    if place == "footer":
        assert documents == {"a": {"n": 6}, "b": {"n": 7}}
    else:
        assert documents == {}
        assert "left out: 2 documents" in captured.err
    assert snapshot_name(1) in captured.err


def test_import_makes_a_journal_of_an_export(
    make_journal: MakeJournal,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    read_states: ReadStates,
) -> None:
    directory = make_journal(TICKS)
    main(["export", str(directory)])
    give(monkeypatch, capsys.readouterr().out)
    assert main(["import", str(tmp_path / "new")]) == 0
    assert read_states(tmp_path / "new") == read_states(directory)
    assert main(["verify", str(tmp_path / "new")]) == 0
    make_journal([[("patch", b"a", b'{"m":1}')]], name="new")
    assert read_states(tmp_path / "new")[b"a"] == b'{"n":3,"m":1}'
    give(monkeypatch, "")
    assert main(["import", str(tmp_path / "new")]) == 1
    assert "holds a journal" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "line 2"),
        ("[]", '"key" and "document"'),
        ('{"key":"b"}', '"key" and "document"'),
        ('{"key":1,"document":1}', '"key" has to be a string'),
        ('{"key":"a","document":1}', "there before"),
        ('{"key_base64":"?","document":1}', "no base64"),
        ('{"key":"%s","document":1}' % ("k" * 65536), "65536 bytes"),
    ],
)
def test_import_names_the_line_at_fault_and_makes_nothing(
    tmp_path: Path,
    line: str,
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    give(monkeypatch, f'{{"key":"a","document":1}}\n{line}\n')
    assert main(["import", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "line 2" in error
    assert complaint in error
    assert list_directory(tmp_path).snapshots == ()
    assert not list(tmp_path.glob("*.tmp"))


def test_a_cut_journal_starts_again_and_keeps_what_was_cut(
    make_journal: MakeJournal,
    capsys: pytest.CaptureFixture[str],
    read_states: ReadStates,
) -> None:
    directory = make_journal(TICKS)
    make_journal(TICKS)
    path = directory / segment_name(1)
    first, second, *_ = frame_ends(path)
    damage(path, second - 1)
    data, next_data = path.read_bytes(), (directory / segment_name(2)).read_bytes()
    with pytest.raises(JournalDamaged) as caught:
        read_states(directory)
    command = ["cut", "--segment", "1", "--offset", str(caught.value.offset), str(directory)]

    assert main(command) == 1
    out = capsys.readouterr().out
    assert f"{len(data) - first} bytes from offset {first} on, 2 whole frames" in out
    assert f"{segment_name(2)}: all of it" in out
    assert path.read_bytes() == data

    assert main([*command, "--yes"]) == 0
    assert path.read_bytes() == data[:first]
    assert (directory / f"{segment_name(1)}.cut").read_bytes() == data[first:]
    assert (directory / f"{segment_name(2)}.cut").read_bytes() == next_data
    assert main(["verify", str(directory)]) == 0
    assert read_states(directory) == {b"a": b'{"n":1}', b"\xff\x00": b'[1,"x"]'}
    make_journal([[("put", b"z", b"1")]])
    assert read_states(directory)[b"z"] == b"1"


def test_a_segment_can_be_cut_as_a_whole(
    make_journal: MakeJournal, read_states: ReadStates
) -> None:
    directory = make_journal(TICKS)
    states = read_states(directory)
    make_journal([[("put", b"z", b"1")]])
    damage(directory / segment_name(2), 3)
    command = ["cut", "--offset", "0", "--yes", str(directory), "--segment"]
    assert main([*command, "2"]) == 0
    assert read_states(directory) == states
    make_journal([[("put", b"z", b"1")]])
    assert main([*command, "2"]) == 0
    assert len(list(directory.glob(f"{segment_name(2)}*.cut"))) == 2


def test_a_cut_between_frames_or_behind_the_damage_is_refused(
    make_journal: MakeJournal, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = make_journal(TICKS)
    path = directory / segment_name(1)
    first, second, third, *_ = frame_ends(path)
    damage(path, second - 1)
    data = path.read_bytes()
    for offset in (-1, 1, first + 1, second, third, len(data) + 1):
        command = ["cut", "--segment", "1", "--offset", str(offset), "--yes", str(directory)]
        assert main(command) == 1
        near = first if offset >= first else 0
        assert f"nearest border before it is {near}" in capsys.readouterr().err
    assert main(["cut", "--segment", "7", "--offset", "0", "--yes", str(directory)]) == 1
    assert "--segment 7: no such segment" in capsys.readouterr().err
    assert path.read_bytes() == data


def test_the_directory_of_a_running_broker_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal.open(tmp_path, Durability.PROCESS)
    for command in (["verify"], ["export"], ["import"], ["cut", "--segment=1", "--offset=0"]):
        assert main([*command, str(tmp_path)]) == 1
        assert "in use by another process" in capsys.readouterr().err
    asyncio.run(journal.close())


def test_a_directory_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(tmp_path / "nothing")]) == 1
    assert "nothing is no directory" in capsys.readouterr().err
