"""The load tests run against a real broker and say what they found; how fast is no matter here."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest

from loadtests.load_client import measure_response
from loadtests.populations import ATTRIBUTES, Devices, Population, Ranges, Thresholds
from loadtests.receiver import is_awaited, measure_request, summarize_us
from loadtests.results import begin_document
from loadtests.stamp import ATTRIBUTE, PLACE, make_stamp, measure_age_us, read_stamps
from loadtests.workloads import request

if TYPE_CHECKING:
    from broker.launch import BrokerProcess
    from tests.integration.conftest import Api, StartBroker

ROOT = Path(__file__).parents[2]
PLAN = ROOT / "loadtests" / "jmeter" / "rigel.jmx"
# What every results file has.
FIELDS = {"benchmark", "parameters", "figures", "builds", "machine", "load_before"}
MACHINE = {"cores", "cpu", "kernel", "python", "uvloop", "aiohttp", "orjson", "nginx"}
HAS_MATPLOTLIB = find_spec("matplotlib") is not None
TOOLS = ("bench", "concurrency", "latency", "scaling", "esilbops", "queries", "capacity")

needs_locust = pytest.mark.skipif(
    find_spec("locust") is None, reason="locust is not installed; the extra `test` has it"
)
needs_matplotlib = pytest.mark.skipif(
    not HAS_MATPLOTLIB, reason="matplotlib is not installed; the extra `load` has it"
)
needs_jmeter = pytest.mark.skipif(
    shutil.which("jmeter") is None, reason="jmeter is not on the path"
)


def run_tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, f"loadtests/{name}.py", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def measure(name: str, output: Path, *arguments: str) -> dict[str, Any]:
    """The results file of a short run."""
    run = run_tool(name, "--quick", "--output", output, *arguments)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert run.stdout.startswith(("|", "ranges", "devices"))
    document: dict[str, Any] = json.loads(output.read_text())
    assert document.keys() >= FIELDS
    assert document["benchmark"] == name
    assert document["machine"].keys() >= MACHINE
    if HAS_MATPLOTLIB:
        draw(output)
    return document


def draw(results: Path) -> None:
    plot = results.with_suffix(".png")
    run = run_tool("plots", results, plot)
    assert run.returncode == 0, run.stderr
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.timeout(240)  # several brokers are started, each with others beside it
class TestMeasurements:
    def test_esilbops_counts_every_notification_and_goes_on_where_it_was(
        self, tmp_path: Path
    ) -> None:
        output = tmp_path / "figures.json"
        document = measure("esilbops", output, "--max", "2")
        points = document["figures"]["ranges"]
        assert [point["subscriptions"] for point in points] == [1, 2]
        for point in points:
            assert point["notifications"] >= point["updates"] > 0
            assert point["cpu_us_per_notification"] > 0
        assert set(document["published"]) == {"E-SilboPS", "Orion"}
        again = measure("esilbops", output, "--max", "3", "--resume")["figures"]["ranges"]
        assert [point["subscriptions"] for point in again] == [1, 2, 3]
        assert again[:2] == points

    def test_scaling_has_one_hit_whatever_the_size(self, tmp_path: Path) -> None:
        figures = measure("scaling", tmp_path / "f.json", "--max", "50")["figures"]
        assert set(figures) == {"devices", "thresholds"}
        for points in figures.values():
            (point,) = points
            assert point["subscriptions"] == 50
            assert point["notifications_per_update"] == 1

    def test_subscriptions_come_over_http_too(self, tmp_path: Path) -> None:
        figures = measure("scaling", tmp_path / "f.json", "--max", "70", "--load", "http")
        assert figures["parameters"]["load"] == "http"

    def test_latency_of_four_scenes(self, tmp_path: Path) -> None:
        figures = measure("latency", tmp_path / "f.json", "--neighbours", "6")["figures"]
        assert list(figures) == ["idle", "alone", "live", "dead"]
        for scene in figures.values():
            latencies = scene["latency_us"]
            assert 0 < latencies["p50"] <= latencies["p99"] <= latencies["max"]
            assert scene["out_of_order"] == 0
            assert len(scene["quantiles_us"]) > 100
        assert figures["dead"]["p99_ratio_to_alone"] > 0

    def test_concurrency(self, tmp_path: Path) -> None:
        points = measure("concurrency", tmp_path / "f.json")["figures"]["points"]
        assert [(p["connections"], p["pipeline"]) for p in points] == [(1, 1), (50, 16)]
        for point in points:
            assert point["rigel"]["cpu_us"] > 0

    def test_queries(self, tmp_path: Path) -> None:
        points = measure("queries", tmp_path / "f.json", "--max", "400")["figures"]["points"]
        assert [point["kind"] for point in points] == ["id", "type", "value", "place"]
        for point in points:
            assert point["entities"] == 400
            assert point["cpu_us"] > 0
            assert point["first_ms"] > 0
            assert point["others_longest_ms"] > 0

    def test_capacity(self, tmp_path: Path) -> None:
        figures = measure("capacity", tmp_path / "f.json", "entities", "ranges")["figures"]
        assert set(figures) == {"entities", "ranges"}
        for (point,) in figures.values():
            assert point["count"] == 1000
            assert point["resident_bytes"] > 0
            assert point["start_s"] > 0
            assert point["start_cpu_s"] >= 0
        assert figures["entities"][0]["index_bytes_each"] is None
        (ranges,) = figures["ranges"]
        assert 0 < ranges["index_bytes_each"] < 1000
        assert 0 < ranges["document_bytes_each"] < 1000

    def test_a_run_goes_on_only_with_a_file_of_its_own(self, tmp_path: Path) -> None:
        other = tmp_path / "other.json"
        other.write_text('{"benchmark": "bench", "figures": {}}')
        run = run_tool("esilbops", "--quick", "--output", other, "--resume")
        assert run.returncode == 1
        assert run.stderr == f"esilbops: {other} differs in its benchmark: cannot go on with it\n"
        begun = begin_document("esilbops", {"load": "journal", "quick": True})
        other.write_text(json.dumps({**begun, "builds": ["0123456789ab"]}))
        run = run_tool("esilbops", "--quick", "--output", other, "--resume")
        assert run.returncode == 1
        assert run.stderr == f"esilbops: {other} differs in its builds: cannot go on with it\n"
        other.write_text("{")
        run = run_tool("esilbops", "--quick", "--output", other, "--resume")
        assert run.returncode == 1
        assert "is no results file" in run.stderr


class TestArguments:
    @pytest.mark.parametrize(
        ("tool", "arguments", "complaint"),
        [
            ("esilbops", ["--max", "0"], "--max: 0 is not from 1 to 10000000"),
            ("scaling", ["--load", "floppy"], "argument --load: invalid choice: 'floppy'"),
            ("scaling", ["--resume"], "--resume needs --output"),
            ("capacity", ["chairs"], "KIND: chairs is none of entities, devices"),
            ("queries", ["--max", "3"], "--max: 3 is not from 10 to 10000000"),
            ("latency", ["--rate", "0"], "--rate: 0 is not above 0 to 10000"),
            ("latency", ["--neighbours", "9999"], "--neighbours: 9999 is not above 0 to 1000"),
            ("generator", ["update", "--host", "10.1.2.3"], "--host: 10.1.2.3 is not an address"),
            ("generator", ["update", "--connections", "0"], "--connections: 0 is not from 1"),
            ("generator", ["update", "--entities", "9"], "--entities: each connection needs"),
            ("generator", ["id", "--subscriptions", "1"], "--subscriptions: queries notify nobody"),
            ("generator", ["steal"], "argument kind: invalid choice: 'steal'"),
        ],
    )
    def test_wrong_ones_are_named(self, tool: str, arguments: list[str], complaint: str) -> None:
        run = run_tool(tool, *arguments)
        assert run.returncode == 2
        assert complaint in run.stderr

    @pytest.mark.parametrize("tool", TOOLS)
    def test_places_are_looked_at_before_the_run(self, tool: str, tmp_path: Path) -> None:
        run = run_tool(tool, "--output", tmp_path / "none" / "figures.json")
        assert run.returncode == 2
        assert f"--output: there is no directory {tmp_path / 'none'}" in run.stderr

    @pytest.mark.skipif(HAS_MATPLOTLIB, reason="matplotlib is installed")
    def test_a_plot_needs_matplotlib(self, tmp_path: Path) -> None:
        run = run_tool("bench", "--plot", tmp_path / "plot.png")
        assert run.returncode == 2
        assert "--plot needs matplotlib: pip install 'rigel-broker[load]'" in run.stderr

    @needs_matplotlib
    def test_a_plot_of_something_else(self, tmp_path: Path) -> None:
        other = tmp_path / "other.json"
        other.write_text('{"benchmark": "chess"}')
        run = run_tool("plots", other, tmp_path / "plot.png")
        assert run.returncode == 1
        assert "is no results file" in run.stderr


class TestGenerator:
    @pytest.mark.parametrize("kind", ["update", "batch"])
    def test_updates_with_subscribers(self, kind: str, broker: BrokerProcess, api: Api) -> None:
        run = run_tool(
            "generator",
            kind,
            *("--port", str(broker.port), "--pid", str(broker.pid), "--service", api.tenant),
            *("--requests", "60", "--entities", "300", "--connections", "4", "--pipeline", "3"),
            *("--subscriptions", "2"),
        )
        assert run.returncode == 0, run.stderr
        found = json.loads(run.stdout)
        assert found["requests"] == 60
        assert found["cpu_us_per_request"] is not None
        assert found["response_us"]["max"] > 0
        notifications = found["notifications"]
        assert notifications["received"] == 120
        assert notifications["missing"] == notifications["out_of_order"] == 0
        assert notifications["latency_us"]["max"] > 0
        assert api.get("/v2/entities").json == []
        assert api.get("/v2/subscriptions").json == []

    @pytest.mark.parametrize("kind", ["id", "type", "pattern", "place"])
    def test_queries(self, kind: str, broker: BrokerProcess, api: Api, tmp_path: Path) -> None:
        output = tmp_path / "found.json"
        run = run_tool(
            "generator",
            kind,
            *("--port", str(broker.port), "--service", api.tenant, "--output", str(output)),
            *("--requests", "40", "--entities", "100", "--connections", "8", "--rate", "1000"),
        )
        assert run.returncode == 0, run.stderr
        assert json.loads(output.read_text()) == json.loads(run.stdout)
        assert json.loads(run.stdout)["requests"] == 40

    def test_without_a_broker(self) -> None:
        run = run_tool("generator", "update", "--port", "9")
        assert run.returncode == 1
        assert run.stderr.startswith("generator: POST http://127.0.0.1:9/v2/op/update: ")
        assert "Traceback" not in run.stderr


class TestReceiver:
    def test_by_itself(self) -> None:
        with started_receiver() as (receiver, url):
            stamped = {"id": "R1", ATTRIBUTE: {"type": "Number", "value": int(make_stamp())}}
            for body in ({"data": [stamped]}, {"data": [{"id": "R1"}]}):
                sent = urllib.request.Request(url, orjson.dumps(body))
                with urllib.request.urlopen(sent, timeout=30) as reply:
                    assert reply.status == 200
            with pytest.raises(urllib.error.HTTPError, match="400"):
                urllib.request.urlopen(urllib.request.Request(url, b"{}"), timeout=30)
            with urllib.request.urlopen(url, timeout=30) as reply:
                found = json.load(reply)
            receiver.send_signal(signal.SIGTERM)
            output, _ = receiver.communicate(timeout=30)
        assert found["received"] == 2
        assert found["out_of_order"] == 0
        assert found["latency_us"]["max"] < 30_000_000
        assert json.loads(output.splitlines()[-1]) == found
        assert receiver.returncode == 0

    def test_a_port_that_is_taken(self) -> None:
        with started_receiver() as (receiver, url):
            port = url.rsplit(":", 1)[1].partition("/")[0]
            second = run_tool("receiver", "--port", port)
            receiver.terminate()
            receiver.communicate(timeout=30)
        assert second.returncode == 1
        assert second.stderr.startswith(f"receiver: cannot listen on port {port}: ")

    def test_framing(self) -> None:
        assert measure_request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") == 27
        head = b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-Continue\r\n\r\n"
        assert is_awaited(head)
        assert not is_awaited(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nexpect: 100-continue")

    def test_percentiles(self) -> None:
        assert summarize_us([]) == {}
        assert summarize_us(range(1001)) == {
            "p50": 500,
            "p90": 900,
            "p99": 990,
            "p999": 999,
            "max": 1000,
        }


@contextmanager
def started_receiver() -> Iterator[tuple[subprocess.Popen[str], str]]:
    receiver = subprocess.Popen(
        [sys.executable, "loadtests/receiver.py", "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert receiver.stdout is not None
        yield receiver, receiver.stdout.readline().removeprefix("Receives at ").strip()
    finally:
        receiver.kill()
        receiver.wait()
        if receiver.stdout is not None:
            receiver.stdout.close()


class TestStamps:
    def test_a_stamp_takes_the_place_without_a_change_of_length(self) -> None:
        assert len(make_stamp()) == len(PLACE)
        assert float(int(PLACE)) == int(PLACE)
        assert 0 <= measure_age_us(int(make_stamp())) < 60_000_000

    def test_both_forms_are_read_and_what_is_none_is_passed_over(self) -> None:
        stamp = int(make_stamp())
        body = {
            "data": [
                {"id": "A", ATTRIBUTE: {"type": "Number", "value": stamp}},
                {"id": "B", ATTRIBUTE: stamp},
                {"id": "C", ATTRIBUTE: 0},
                {"id": "D"},
            ]
        }
        assert list(read_stamps(orjson.dumps(body))) == [("A", stamp), ("B", stamp)]
        with pytest.raises(ValueError, match="without data"):
            list(read_stamps(b"[]"))


class TestPopulations:
    @pytest.mark.parametrize("make", [Devices, Thresholds, Ranges])
    @pytest.mark.parametrize("size", [1, 40])
    def test_have_the_size_and_hit(self, make: type[Any], size: int) -> None:
        population: Population = make(size)
        subscriptions = list(population.subscriptions("http://127.0.0.1:9/notify"))
        assert len(subscriptions) == size
        dealt = population.updates(4)
        assert all(update.hits >= 1 for each in dealt for update in each)
        # No entity is updated with what it has: two requests in a row differ.
        for each in dealt:
            assert len({update.request for update in each}) == len(each) > 1

    def test_hits_of_ranges_are_those_of_their_queries(self) -> None:
        population = Ranges(300)
        texts = [
            document["subject"]["condition"]["expression"]["q"]
            for document in population.subscriptions("http://127.0.0.1:9/notify")
        ]
        random = np.random.default_rng(1)
        for _ in range(50):
            values = random.integers(0, 1_000_000, ATTRIBUTES)
            # Narrow ranges: bring the values near to those of one subscription.
            for name, low in re.findall(r"a(\d+)==(\d+)", texts[int(random.integers(300))]):
                values[int(name)] = int(low)
            expected = sum(_matches(text, values.tolist()) for text in texts)
            assert population.count_hits(values) == expected >= 1


def _matches(text: str, values: list[int]) -> bool:
    for predicate in text.split(";"):
        name, _, wanted = predicate.partition("==")
        low, _, high = wanted.partition("..")
        if not int(low) <= values[int(name[1:])] <= int(high or low):
            return False
    return True


def test_several_responses_in_one_piece() -> None:
    response = b"HTTP/1.1 204 No Content\r\n\r\n"
    assert measure_response(response * 2, b"204") == len(response)
    assert request("GET", "/v2").count(b"\r\n\r\n") == 1


@needs_locust
class TestLocust:
    def run(self, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py"),
                *("--headless", "--json", "--skip-log", *arguments),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    def test_a_short_run(self, tmp_path: Path, start_broker: StartBroker, api: Api) -> None:
        broker = start_broker("--multiservice")
        run = self.run(
            tmp_path,
            *("--host", broker.url, "-u", "12", "-r", "12", "-t", "4s"),
            *("--entities", "200", "--service", api.tenant),
        )
        assert run.returncode == 0, run.stderr
        rows = {row["name"]: row for row in json.loads(run.stdout)}
        for name in ("update", "query by id", "query by type", "subscribe", "notification"):
            assert rows[name]["num_requests"] > 0, name
        assert all(row["num_failures"] == 0 for row in rows.values())
        with api.on(broker) as client:
            assert client.get("/v2/entities").json == []
            assert client.get("/v2/subscriptions").json == []

    def test_without_a_broker(self, tmp_path: Path) -> None:
        run = self.run(tmp_path, "--host", "http://127.0.0.1:9", "-u", "1", "-t", "1s")
        assert run.returncode != 0
        assert "http://127.0.0.1:9" in run.stderr

    def test_wrong_options(self, tmp_path: Path) -> None:
        run = self.run(tmp_path, "--host", "http://127.0.0.1:9", "--entities", "0", "-t", "1s")
        assert run.returncode != 0
        assert "--entities: 0 is not from 1 to 100000" in run.stderr


class TestJMeter:
    def test_the_plan_is_whole_and_its_parameters_are_documented(self) -> None:
        tree = ElementTree.parse(PLAN)
        assert tree.getroot().tag == "jmeterTestPlan"
        parameters = set(re.findall(r"__P\((\w+)", PLAN.read_text()))
        assert parameters >= {"host", "port", "clients", "duration", "receiverPort"}
        documented = set(
            re.findall(r"^\| `-J(\w+)`", (PLAN.parents[1] / "README.md").read_text(), re.M)
        )
        assert documented == parameters

    @needs_jmeter
    def test_a_short_run(self, tmp_path: Path, start_broker: StartBroker) -> None:
        broker = start_broker("--multiservice")
        results = tmp_path / "results.jtl"
        with started_receiver() as (_, url):
            port = url.rsplit(":", 1)[1].partition("/")[0]
            run = subprocess.run(
                [
                    *("jmeter", "-n", "-t", str(PLAN), "-l", str(results)),
                    *("-j", str(tmp_path / "jmeter.log"), f"-Jport={broker.port}"),
                    *(f"-JreceiverPort={port}", "-Jentities=50", "-Jduration=3", "-Jclients=4"),
                ],
                capture_output=True,
                text=True,
                check=False,
                cwd=tmp_path,
            )
        assert run.returncode == 0, run.stderr
        lines = results.read_text().splitlines()[1:]
        assert "notifications received" in results.read_text()
        assert all(line.split(",")[7] == "true" for line in lines)
