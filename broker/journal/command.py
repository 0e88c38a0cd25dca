"""`rigel journal verify | export | import | cut`: the way out for a journal at rest.

Works on the directory of a broker that does not run: each command takes the directory's lock.
Nothing but `cut` and `import` writes, and `cut` keeps what it cuts.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from broker.journal.compaction import SnapshotWriter
from broker.journal.format import (
    FILE_HEADER,
    MAX_KEY_BYTES,
    SEGMENT_MAGIC,
    FrameError,
    JournalDamaged,
    JournalError,
    file_size,
    find_frames,
    read_frames,
    read_header,
)
from broker.journal.lock import DirectoryLock
from broker.journal.recovery import (
    Change,
    Listing,
    Replay,
    current_boot_id,
    cut_file,
    is_torn_tail,
    latest_states,
    list_directory,
    read_from,
    read_snapshot,
    replay_segments,
    resolve,
)

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1

_ROW: Final = "{:<26} {:>14} {:>10} {:>12}  {}"
_IMPORTED: Final = 1  # the number of the snapshot that an import makes


def main(argv: Sequence[str]) -> int:
    """Runs one command line (without `rigel journal`); the exit code."""
    parser = argparse.ArgumentParser(prog="rigel journal", description="look after a journal")
    add_commands(parser)
    return run(parser.parse_args(argv))


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Adds the commands and their arguments."""
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    verify = commands.add_parser("verify", help="read all files and print their state")
    export = commands.add_parser(
        "export", help="print the latest documents as JSON lines with key and document"
    )
    export.add_argument(
        "--until-damage", action="store_true", help="print what stands before a damage too"
    )
    restore = commands.add_parser(
        "import", help="make a new journal of JSON lines from standard input"
    )
    cut = commands.add_parser("cut", help="give up a segment from an offset on, and what follows")
    cut.add_argument("--segment", type=int, required=True, help="the number in the file's name")
    cut.add_argument("--offset", type=int, required=True, help="bytes to keep, as verify tells")
    cut.add_argument("--yes", action="store_true", help="do it; without, only tell what it does")
    for command in (verify, export, restore, cut):
        command.add_argument("directory", type=Path, help="the data directory of a broker")


def run(arguments: argparse.Namespace) -> int:
    """Runs the parsed command; the exit code."""
    directory: Path = arguments.directory
    if not directory.is_dir() and arguments.command != "import":
        return _complain(f"{directory} is no directory")
    try:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        lock = DirectoryLock.acquire(directory, wait_s=0)
    except (JournalError, OSError) as error:
        return _complain(str(error))
    try:
        if arguments.command == "verify":
            return _verify(directory)
        if arguments.command == "export":
            return _export(directory, sys.stdout.buffer, until_damage=arguments.until_damage)
        if arguments.command == "import":
            return _import(directory, sys.stdin.buffer)
        return _cut(directory, arguments.segment, arguments.offset, confirmed=arguments.yes)
    except BrokenPipeError:
        return EXIT_FAILED  # whoever read the export has seen enough
    except (JournalError, OSError) as error:
        return _complain(str(error))
    finally:
        lock.release()


# ---- verify ------------------------------------------------------------------------------


def _verify(directory: Path) -> int:
    listing = list_directory(directory)
    print(_ROW.format("FILE", "BYTES", "FRAMES", "RECORDS", "STATE"))
    whole = _verify_snapshot(listing)
    replay = replay_segments(listing, ignore_snapshot=not whole)
    damage = replay.damage
    for segment in replay.segments:
        state = "ok"
        if damage is not None and damage.path == segment.path:
            state = f"damaged at offset {damage.offset}: {damage.reason}"
        print(_ROW.format(segment.path.name, segment.size, segment.frames, segment.records, state))
    torn = False
    if damage is not None:
        if all(segment.path != damage.path for segment in replay.segments):
            print(_ROW.format(damage.path.name, "-", "-", "-", damage.reason))
        _print_unread(listing, replay)
        torn = is_torn_tail(listing, replay, current_boot_id())
    if torn:
        print("What follows the damage was never promised to be stable: a start cuts it off.")
    if whole and (damage is None or torn):
        return EXIT_OK
    print("A start refuses this. `rigel journal export --until-damage` saves what can be read.")
    if whole:
        print("`rigel journal cut` gives up what follows the damage.")
    else:
        print("`rigel journal import` makes a new journal of it.")
    return EXIT_FAILED


def _print_unread(listing: Listing, replay: Replay) -> None:
    """The segments that stand behind the damage."""
    last = replay.segments[-1].number if replay.segments else listing.snapshot
    for number in listing.live_segments():
        if number > last:
            path = listing.segment_path(number)
            data = read_from(path, 0)
            frames = sum(1 for _ in find_frames(data))
            print(_ROW.format(path.name, len(data), frames, "-", "not replayed: after the damage"))


def _verify_snapshot(listing: Listing) -> bool:
    path = listing.snapshot_path
    if path is None:
        return True
    records = 0
    state = "ok"
    try:
        for _ in read_snapshot(path, listing.snapshot):
            records += 1
    except JournalDamaged as damage:
        state = f"damaged at offset {damage.offset}: {damage.reason}"
    print(_ROW.format(path.name, path.stat().st_size, "-", records, state))
    return state == "ok"


# ---- export and import -------------------------------------------------------------------


def _export(directory: Path, output: BinaryIO, *, until_damage: bool) -> int:
    listing = list_directory(directory)
    damages: list[JournalDamaged] = []
    try:
        replay = replay_segments(listing)
    except JournalDamaged:
        if not until_damage:
            raise
        # The snapshot's end; reading it tells more. The segments can be read for themselves.
        replay = replay_segments(listing, ignore_snapshot=True)
    if replay.damage is not None and not is_torn_tail(listing, replay, current_boot_id()):
        if not until_damage:
            raise replay.damage
        damages.append(replay.damage)
    documents = 0
    try:
        for pair in latest_states(listing.snapshot_path, listing.snapshot, replay.changes):
            output.write(_encode_line(*pair))
            documents += 1
    except JournalDamaged as damage:
        if not until_damage:
            raise
        damages.append(damage)
        for pair in _complete(replay.changes):
            output.write(_encode_line(*pair))
            documents += 1
    output.flush()
    for found in damages:
        print(found, file=sys.stderr)
    if replay.changes:
        print(
            f"left out: {len(replay.changes)} documents whose beginning stood in the damaged part",
            file=sys.stderr,
        )
    print(f"{documents} documents", file=sys.stderr)
    return EXIT_FAILED if damages else EXIT_OK


def _complete(changes: dict[bytes, Change]) -> Iterator[tuple[bytes, bytes]]:
    """Takes out of the changes those that need no document of the snapshot."""
    for key in list(changes):
        change = changes[key]
        if isinstance(change, bytes) or change[0] is not None:
            del changes[key]
            if document := resolve(change, None):
                yield key, document


def _encode_line(key: bytes, document: bytes) -> bytes:
    try:
        name = b'{"key":' + orjson.dumps(key.decode())
    except UnicodeDecodeError:
        name = b'{"key_base64":' + orjson.dumps(base64.b64encode(key).decode())
    return name + b',"document":' + document + b"}\n"


def _import(directory: Path, lines: Iterable[bytes]) -> int:
    listing = list_directory(directory)
    if listing.segments or listing.snapshots:
        return _complain(f"{directory} holds a journal: import makes a new one")
    writer = SnapshotWriter(directory, _IMPORTED)
    keys: set[bytes] = set()
    try:
        for number, line in enumerate(lines, 1):
            try:
                key, document = _decode_line(line)
                if key in keys:
                    raise ValueError("the key was there before")
            except ValueError as error:
                return _complain(f"line {number}: {error}")
            keys.add(key)
            writer.add(key, document)
        writer.finish(0)
    finally:
        writer.abandon()
    print(f"{len(keys)} documents", file=sys.stderr)
    return EXIT_OK


def _decode_line(line: bytes) -> tuple[bytes, bytes]:
    """Key and document. Raises ValueError."""
    value = orjson.loads(line)
    if not isinstance(value, dict) or "document" not in value:
        raise ValueError('an object with "key" and "document" is needed')
    if isinstance(name := value.get("key"), str):
        key = name.encode()
    elif isinstance(name := value.get("key_base64"), str):
        try:
            key = base64.b64decode(name, validate=True)
        except binascii.Error as error:
            raise ValueError(f'"key_base64" is no base64: {error}') from None
    else:
        raise ValueError('"key" has to be a string')
    if len(key) > MAX_KEY_BYTES:
        raise ValueError(f"the key has {len(key)} bytes, at most {MAX_KEY_BYTES} are possible")
    return key, orjson.dumps(value["document"])


# ---- cut ---------------------------------------------------------------------------------


def _cut(directory: Path, number: int, offset: int, *, confirmed: bool) -> int:
    listing = list_directory(directory)
    if number not in listing.live_segments():
        known = ", ".join(str(segment) for segment in listing.live_segments()) or "none"
        return _complain(
            f"--segment {number}: no such segment behind the snapshot (there: {known})"
        )
    path = listing.segment_path(number)
    borders = _borders(path, number)
    if offset not in borders:
        near = max(border for border in borders if border <= max(offset, 0))
        return _complain(
            f"--offset {offset}: no frame of {path.name} starts or ends there before its first "
            f"damage; the nearest border before it is {near}"
        )
    doomed = [listing.segment_path(n) for n in reversed(listing.segments) if n > number]
    data = read_from(path, offset)
    frames = sum(1 for _ in find_frames(data))
    print(f"{path.name}: {len(data)} bytes from offset {offset} on, {frames} whole frames")
    for other in doomed:
        print(f"{other.name}: all of it")
    if not confirmed:
        print("With --yes these are moved into files that end with .cut and are read no more.")
        return EXIT_FAILED
    # From the end on, so that at every moment the rest is a journal with its end missing.
    for other in doomed:
        print(f"moved to {cut_file(other, 0, keep=True)}")
    if data:
        print(f"moved to {cut_file(path, offset, keep=True)}")
    return EXIT_OK


def _borders(path: Path, number: int) -> list[int]:
    """Where a segment may be cut: its start, and the ends of its frames up to a damage."""
    borders = [0]
    with path.open("rb") as file:
        size = file_size(file)
        try:
            read_header(file, path, SEGMENT_MAGIC, number)
            borders.append(FILE_HEADER.size)
            borders.extend(frame.end for frame in read_frames(file, FILE_HEADER.size, size))
        except FrameError:
            pass  # it ends here
    return borders


def _complain(message: str) -> int:
    print(f"rigel journal: {message}", file=sys.stderr)
    return EXIT_FAILED
