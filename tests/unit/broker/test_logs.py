"""What tools that read the log rely on: one line per record, Orion's fields, levels."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.logs import (
    LOG_FILE_NAME,
    SUMMARY,
    JsonFormatter,
    LogLimits,
    OrionFormatter,
    RequestContext,
    TransactionIds,
    configure,
    current_level,
    request_context,
    set_level,
)
from broker.settings import LogLevel, Settings

LINE = re.compile(
    r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \| lvl=(?P<lvl>[A-Z]+) \| corr=(?P<corr>[^|]*)"
    r" \| trans=(?P<trans>[^|]*) \| from=(?P<client>[^|]*) \| srv=(?P<srv>[^|]*)"
    r" \| subsrv=(?P<subsrv>[^|]*) \| comp=Orion"
    r" \| op=(?P<op>[\w.]+\[\d+\]:[\w<>]+) \| msg=(?P<msg>.*)"
)
LIMITS = LogLimits(32 * 1024, 5 * 1024)

log = logging.getLogger("broker.test")


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    flags = (logging.logThreads, logging.logProcesses, logging.logMultiprocessing)
    yield
    logging.captureWarnings(False)
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.logThreads, logging.logProcesses, logging.logMultiprocessing = flags


def fields(line: str) -> dict[str, str]:
    match = LINE.fullmatch(line)
    assert match is not None, line
    return match.groupdict()


def record(message: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("broker.x", level, "/a/engine.py", 17, message, (), None, "update")


def test_a_line_outside_of_requests(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(foreground=True))
    log.warning("Startup completed in %d ms", 12)
    line = fields(capsys.readouterr().out.removesuffix("\n"))
    assert line["lvl"] == "WARN"
    assert {line[name] for name in ("corr", "trans", "client", "srv", "subsrv")} == {"N/A"}
    assert line["msg"] == "Startup completed in 12 ms"
    assert re.fullmatch(r"test_logs\.py\[\d+\]:test_a_line_outside_of_requests", line["op"])


def test_a_line_of_a_request(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(foreground=True))
    token = request_context.set(
        RequestContext("c-1; cbnotif=2", "1603707992-318-00000000001", "10.0.0.7", "s1", "/A")
    )
    try:
        log.error("x")
    finally:
        request_context.reset(token)
    line = fields(capsys.readouterr().out.removesuffix("\n"))
    assert line["corr"] == "c-1; cbnotif=2"
    assert line["trans"] == "1603707992-318-00000000001"
    assert line["client"] == "10.0.0.7"
    assert (line["srv"], line["subsrv"]) == ("s1", "/A")


def test_missing_headers_are_none_in_angle_brackets() -> None:
    token = request_context.set(RequestContext("c", "t", "f"))
    try:
        line = fields(OrionFormatter(LIMITS).format(record("x")))
    finally:
        request_context.reset(token)
    assert (line["srv"], line["subsrv"]) == ("<none>", "<none>")


@given(st.text(), st.text(), st.text())
def test_whatever_clients_send_a_record_is_one_line_with_its_own_fields(
    message: str, correlator: str, service_path: str
) -> None:
    token = request_context.set(RequestContext(correlator, "t", "f", "s", service_path))
    try:
        line = OrionFormatter(LIMITS).format(record(message))
        as_json = JsonFormatter(LIMITS).format(record(message))
    finally:
        request_context.reset(token)
    assert line.splitlines() == [line]
    assert fields(line)["srv"] == "s"
    assert as_json.splitlines() == [as_json]
    document = json.loads(as_json)
    assert document["msg"] == message
    assert document["corr"] == correlator


def test_newlines_are_visible_in_the_message() -> None:
    assert fields(OrionFormatter(LIMITS).format(record("a\nb\tc")))["msg"] == r"a\nb\tc"


def test_a_correlator_cannot_forge_fields() -> None:
    token = request_context.set(RequestContext("x | lvl=FATAL | msg=y", "t", "f"))
    try:
        line = OrionFormatter(LIMITS).format(record("real"))
    finally:
        request_context.reset(token)
    assert line.count(" | ") == 9
    assert fields(line)["msg"] == "real"


def test_a_traceback_is_part_of_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(foreground=True))
    try:
        raise LookupError("gone")
    except LookupError:
        log.exception("while looking")
    line = fields(capsys.readouterr().out.removesuffix("\n"))
    assert line["msg"].startswith(r"while looking\nTraceback (most recent call last):\n")
    assert line["msg"].endswith("LookupError: gone")


@pytest.mark.parametrize("formatter", [OrionFormatter, JsonFormatter])
def test_a_line_too_long_keeps_its_fields(formatter: type[OrionFormatter]) -> None:
    limits = LogLimits(400, 10)
    text = formatter(limits).format(record("a" * 400))
    assert len(text) < 400
    assert "LINE TOO LONG" in text
    assert "engine.py[17]:update" in text
    limits.line_max_bytes = 1000
    assert "a" * 400 in formatter(limits).format(record("a" * 400))


def test_the_longest_line_is_counted_in_bytes() -> None:
    exact = len(OrionFormatter(LIMITS).format(record("é" * 100)).encode())
    assert "é" in OrionFormatter(LogLimits(exact, 1)).format(record("é" * 100))
    assert "LINE TOO LONG" in OrionFormatter(LogLimits(exact - 1, 1)).format(record("é" * 100))


def test_json_has_the_same_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(foreground=True, log_format="json"))
    log.warning("two\nlines")
    (text,) = capsys.readouterr().out.splitlines()
    document = json.loads(text)
    assert list(document) == (
        ["time", "lvl", "corr", "trans", "from", "srv", "subsrv", "comp", "op", "msg"]
    )
    assert document["msg"] == "two\nlines"
    assert document["comp"] == "Orion"
    assert document["corr"] == document["srv"] == "N/A"


def test_a_short_line_for_humans(capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(foreground=True, log_for_humans=True))
    log.warning("hello")
    line = capsys.readouterr().out
    assert re.fullmatch(r"WARN@\S+Z  test_logs\.py\[\d+\]: hello\n", line)


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("NONE", []),
        ("FATAL", ["FATAL"]),
        ("ERROR", ["FATAL", "ERROR"]),
        ("WARN", ["FATAL", "ERROR", "WARN"]),
        ("INFO", ["FATAL", "ERROR", "WARN", "INFO"]),
        ("DEBUG", ["FATAL", "ERROR", "WARN", "INFO", "DEBUG"]),
    ],
)
def test_levels(level: LogLevel, written: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    configure(Settings(foreground=True))
    set_level(level)
    assert current_level() == level
    for number in (50, 40, 30, 20, 10):
        log.log(number, "x")
    log.log(SUMMARY, "Transactions: 1 (new: 1)")
    levels = [fields(line)["lvl"] for line in capsys.readouterr().out.splitlines()]
    assert levels == [*written, "SUMMARY"]


def test_the_level_of_the_settings_and_an_unknown_one() -> None:
    configure(Settings(log_level="INFO"))
    assert current_level() == "INFO"
    set_level("debug")
    assert current_level() == "DEBUG"
    with pytest.raises(ValueError, match="'LOUD' is not one of NONE, FATAL"):
        set_level("LOUD")
    assert current_level() == "DEBUG"


def test_without_foreground_the_log_is_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(Settings())
    log.warning("x")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert LINE.fullmatch(captured.err.removesuffix("\n"))


def test_configuring_again_replaces_and_does_not_double(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(Settings())
    configure(Settings(foreground=True))
    log.warning("x")
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.count("\n") == 1


def test_a_log_file_and_its_predecessor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "made" / "for it"
    path = directory / LOG_FILE_NAME
    for text in ("first", "second"):
        configure(Settings(log_dir=str(directory)))
        log.warning(text)
    assert fields(path.read_text().removesuffix("\n"))["msg"] == "second"
    old = path.with_name(LOG_FILE_NAME + ".old")
    assert fields(old.read_text().removesuffix("\n"))["msg"] == "first"
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""

    configure(Settings(log_dir=str(directory), log_append=True, foreground=True))
    log.warning("third")
    messages = [fields(line)["msg"] for line in path.read_text().splitlines()]
    assert messages == ["second", "third"]
    assert fields(capsys.readouterr().out.removesuffix("\n"))["msg"] == "third"


def test_a_file_moved_away_is_begun_anew(tmp_path: Path) -> None:
    configure(Settings(log_dir=str(tmp_path)))
    path = tmp_path / LOG_FILE_NAME
    log.warning("before")
    os.rename(path, tmp_path / "rotated")
    log.warning("after")
    assert fields(path.read_text().removesuffix("\n"))["msg"] == "after"


def test_no_file_where_it_is_switched_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(Settings(log_dir=str(tmp_path), disable_file_log=True))
    log.warning("x")
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err


def test_a_directory_that_cannot_be_leaves_the_log_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    configure(Settings(foreground=True))
    with pytest.raises(OSError, match="file"):
        configure(Settings(log_dir=str(tmp_path / "file")))
    log.warning("still here")
    assert "still here" in capsys.readouterr().out


def test_what_the_terminal_cannot_show_is_written_escaped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    # Those of pytest keep records for a report, which has no surrogates.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    configure(Settings(foreground=True))
    log.warning("caf\u00e9 \udc80")
    assert raw.getvalue().endswith(b"msg=caf\\xe9 \\udc80\n")


def test_warnings_of_libraries_go_to_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        configure(Settings(foreground=True))
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert "DeprecationWarning: old" in fields(capsys.readouterr().out.removesuffix("\n"))["msg"]


def test_bodies_are_shown_up_to_a_limit() -> None:
    limits = LogLimits(1000, 5)
    assert limits.excerpt(b"12345") == "12345"
    assert limits.excerpt(b"123456") == "12345(...)"
    assert limits.excerpt("éééé".encode()) == "éé\ufffd(...)"
    limits.payload_max_bytes = 0
    assert limits.excerpt(b"1") == "(...)"


def test_limits_are_those_of_the_settings_and_change_at_run_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    limits = configure(Settings(foreground=True, log_line_max_bytes=200, log_payload_max_bytes=7))
    assert limits == LogLimits(200, 7)
    log.warning("a" * 200)
    assert "LINE TOO LONG" in capsys.readouterr().out
    limits.line_max_bytes = 1000
    log.warning("a" * 200)
    assert "a" * 200 in capsys.readouterr().out


def test_ids_of_transactions() -> None:
    ids = TransactionIds(1603707992318)
    assert ids.make() == "1603707992-318-00000000001"
    assert ids.make() == "1603707992-318-00000000002"
    assert re.fullmatch(r"\d{10}-\d{3}-00000000001", TransactionIds().make())


def test_ids_of_transactions_after_the_last_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.logs._MAX_COUNTER", 2)
    ids = TransactionIds(1603707992999)
    assert [ids.make() for _ in range(3)] == [
        "1603707992-999-00000000001",
        "1603707992-999-00000000002",
        "1603707993-000-00000000001",
    ]
