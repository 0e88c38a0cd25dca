"""`make bench` runs and reports; how fast anything is, is no matter for a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.load_client import LoadError, measure_response
from loadtests.receiver import measure_request
from loadtests.servers import find_nginx

ROOT = Path(__file__).parents[2]


def test_a_quick_run_reports_every_figure(tmp_path: Path) -> None:
    output = tmp_path / "figures.json"
    run = subprocess.run(
        [sys.executable, "loadtests/bench.py", "--quick", "--output", str(output)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    document = json.loads(output.read_text())
    figures = document["figures"]
    kinds = ["update", "v1 update", "query", "notify", "batch"]
    if find_nginx():
        kinds.append("nginx")
        assert figures["nginx"]["ratio_to_nginx"] == 1.0
        assert figures["update"]["ratio_to_nginx"] > 0
    for kind in kinds:
        assert figures[kind]["cpu_us"] > 0
        (interval,) = figures[kind]["rounds"]
        assert interval["requests"] > 0
        assert f"\n| {kind} |" in run.stdout
    assert figures["batch"]["ratio_to_nginx"] is None
    assert figures["batch_ratio_to_parsing"] > 0
    assert figures["idle_resident_bytes"] > 0
    assert len(figures["empty_starts_s"]) == 1
    assert document["machine"].keys() >= {"cores", "cpu", "kernel", "python", "uvloop", "nginx"}


class TestResponses:
    def test_framing(self) -> None:
        response = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nX: y\r\n\r\nhello"
        assert measure_response(response, b"200") == len(response)
        assert measure_response(response[:-3], b"200") == len(response)
        assert measure_response(response[:30], b"200") is None
        assert measure_response(b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", b"204") == 33

    def test_what_cannot_be_counted_ends_the_run(self) -> None:
        with pytest.raises(LoadError, match=r"unexpected response: HTTP/1\.1 500"):
            measure_response(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", b"200")
        with pytest.raises(LoadError, match="without Content-Length"):
            measure_response(b"HTTP/1.1 200 OK\r\n\r\n", b"200")


def test_framing_of_notifications() -> None:
    request = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
    assert measure_request(request) == len(request)
    assert measure_request(request[:20]) is None
    with pytest.raises(ValueError, match="without Content-Length"):
        measure_request(b"POST / HTTP/1.1\r\n\r\n")
