"""The demo against real brokers: it agrees with a good one, and sees what a bad one does."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
import pytest
from aiohttp import web
from rich.console import Console
from yarl import URL

from broker.launch import BrokerProcess
from demo.__main__ import main, parse_options, read_weather
from demo.client import BrokerError
from demo.data import Airport, DataFiles
from demo.expectation import is_near_seattle
from demo.report import Report
from demo.run import Run

if TYPE_CHECKING:
    from tests.integration.conftest import Api, StartBroker

ROOT: Final = Path(__file__).parents[2]
# A warm day: temperatures above 75 and several levels.
WARM_DAY: Final = ("--start", "2010-08-01", "--hours", "24")
SILENCE_S: Final = 1.0  # waited for where notifications are lost on purpose
SLOWEST_RUN_S: Final = 240  # thousands of updates on a machine that does much else


def some_airports() -> list[Airport]:
    """A hundred, near and far."""
    airports = DataFiles.find().read_airports()
    near = [airport for airport in airports if is_near_seattle(airport)]
    return near[:50] + [airport for airport in airports if airport not in near][:50]


def make_run() -> tuple[Run, io.StringIO]:
    """A run over a warm day and some airports, and what it prints."""
    written = io.StringIO()
    report = Report(Console(file=written, width=100))
    weather = read_weather(DataFiles.find(), parse_options(WARM_DAY))
    return Run(some_airports(), weather, report, SILENCE_S), written


def rows(printed: str) -> dict[str, list[str]]:
    """The cells behind the title of each row of the table of notifications."""
    lines = [line.rsplit(maxsplit=8) for line in printed.splitlines() if line.strip()]
    return {cells[0].strip(): cells[1:] for cells in lines if cells[-1] in ("yes", "NO")}


@pytest.mark.timeout(SLOWEST_RUN_S)
def test_a_short_run_agrees_and_its_data_directory_can_be_kept(
    tmp_path: Path, start_broker: StartBroker, connect: Callable[[BrokerProcess, str], Api]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo", *WARM_DAY, "--keep"],
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert all(line.isprintable() for line in done.stdout.splitlines())
    table = rows(done.stdout)
    assert table["all"][:3] == ["174", "174", "174"]
    assert table["both: new and above 75"][:3] == ["3", "3", "3"]
    assert table["airports near Seattle"][:3] == ["70", "70", "70"]
    assert "All 174 notifications are those worked out from the files" in done.stdout

    (kept,) = tmp_path.glob("rigel-demo-*")
    assert f"Kept: {kept}" in done.stdout.splitlines()
    api = connect(start_broker(directory=kept / "data"), "")
    counted = api.get("/v2/entities", limit=1, options="count")
    assert counted.headers["Fiware-Total-Count"] == str(3376 + 2)
    seattle = api.get("/v2/entities/WeatherObserved:Seattle", options="keyValues").json
    assert seattle["dateObserved"] == "2010-08-01T23:00:00.000Z"
    assert api.get("/v2/subscriptions").json == []


@pytest.mark.timeout(SLOWEST_RUN_S)
def test_without_keep_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    airports = some_airports()
    monkeypatch.setattr(DataFiles, "read_airports", lambda files: airports)
    assert main(["--hours", "3"]) == 0
    assert rows(capsys.readouterr().out)["airports near Seattle"][:3] == ["50", "50", "50"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keep", [False, True])
async def test_a_shared_broker_is_left_as_it_was(keep: bool, api: Api) -> None:
    run, written = make_run()
    assert await run.try_on(URL(api.broker.url), api.tenant, "127.0.0.1", keep) == []
    assert "NO" not in written.getvalue()
    assert api.get("/v2/subscriptions").json == []
    counted = api.get("/v2/entities", limit=1, options="count")
    assert counted.headers["Fiware-Total-Count"] == ("102" if keep else "0")


def test_a_broker_that_keeps_no_tenants_apart_is_refused_when_it_has_entities(
    start_broker: StartBroker,
    connect: Callable[[BrokerProcess, str], Api],
    capsys: pytest.CaptureFixture[str],
) -> None:
    broker = start_broker()
    api = connect(broker, "")
    api.create({"id": "E", "type": "T"})
    assert main(["--broker", broker.url, "--hours", "1"]) == 1
    error = capsys.readouterr().err
    assert "has 1 entities in a tenant that is new" in error
    assert "--multiservice" in error
    assert [entity["id"] for entity in api.get("/v2/entities").json] == ["E"]


def test_no_broker_there(capsys: pytest.CaptureFixture[str], unused_tcp_port: int) -> None:
    assert main(["--broker", f"http://127.0.0.1:{unused_tcp_port}", "--hours", "1"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"rigel demo: GET http://127.0.0.1:{unused_tcp_port}/v2/entities")
    assert "Traceback" not in error


# What stands between the demo and the broker: gets each request and the way to pass it on.
PassOn = Callable[[], Awaitable[web.Response]]
Meddler = Callable[[web.BaseRequest, PassOn], Awaitable[web.Response]]


@asynccontextmanager
async def gateway(broker: BrokerProcess, meddle: Meddler) -> AsyncIterator[URL]:
    """A gateway before the broker that does what `meddle` says."""
    async with aiohttp.ClientSession() as session:

        async def serve(request: web.BaseRequest) -> web.Response:
            body = await request.read()

            async def pass_on() -> web.Response:
                url = URL(broker.url).join(request.rel_url)
                headers = {
                    name: value
                    for name, value in request.headers.items()
                    if name in ("Content-Type", "Fiware-Service")
                }
                async with session.request(
                    request.method, url, data=body or None, headers=headers
                ) as reply:
                    passed = {
                        name: value
                        for name, value in reply.headers.items()
                        if name in ("Content-Type", "Location", "Fiware-Total-Count")
                    }
                    return web.Response(
                        status=reply.status, body=await reply.read(), headers=passed
                    )

            return await meddle(request, pass_on)

        runner = web.ServerRunner(web.Server(serve))
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield URL(f"http://127.0.0.1:{runner.addresses[0][1]}/")
        finally:
            await runner.cleanup()


class TenthUpdate:
    """Recognises the tenth PATCH of Seattle's weather."""

    def __init__(self) -> None:
        self._number = 0

    def has_come(self, request: web.BaseRequest) -> bool:
        if request.method != "PATCH" or "Seattle" not in request.path:
            return False
        self._number += 1
        return self._number == 10


async def test_an_update_that_is_lost_is_seen(api: Api) -> None:
    tenth = TenthUpdate()

    async def lose_the_tenth(request: web.BaseRequest, pass_on: PassOn) -> web.Response:
        if tenth.has_come(request):
            return web.Response(status=204)
        return await pass_on()

    run, written = make_run()
    async with gateway(api.broker, lose_the_tenth) as url:
        problems = await run.try_on(url, api.tenant, "127.0.0.1", keep=False)
    assert "Seattle: every change: 1 missing: WeatherObserved:Seattle 2010-08-01T10:00" in "".join(
        problems
    )
    assert "Seattle: every change: the broker counts 23, not 24" in problems
    table = rows(written.getvalue())
    assert table["Seattle: every change"][:3] == ["24", "23", "23"]
    assert table["Seattle: every change"][-1] == "NO"
    assert table["San Francisco: every change"][-1] == "yes"
    assert table["all"][-1] == "NO"


async def test_a_change_by_somebody_else_is_seen(api: Api) -> None:
    tenth = TenthUpdate()

    async def add_one_after_the_tenth(request: web.BaseRequest, pass_on: PassOn) -> web.Response:
        response = await pass_on()
        if tenth.has_come(request):
            path = "/v2/entities/WeatherObserved:SanFrancisco/attrs"
            api.patch(path, {"temperature": {"type": "Number", "value": 451}})
        return response

    run, written = make_run()
    async with gateway(api.broker, add_one_after_the_tenth) as url:
        problems = await run.try_on(url, api.tenant, "127.0.0.1", keep=False)
    assert any(
        problem.startswith("both: new and above 75: 1 not expected: WeatherObserved:SanFrancisco")
        for problem in problems
    )
    assert rows(written.getvalue())["both: new and above 75"][:3] == ["3", "4", "4"]


async def test_when_nothing_arrives_the_replay_ends_early(api: Api) -> None:
    async def lose_all(request: web.BaseRequest, pass_on: PassOn) -> web.Response:
        if request.method == "PATCH":
            return web.Response(status=204)
        return await pass_on()

    run, _ = make_run()
    async with gateway(api.broker, lose_all) as url:
        problems = await run.try_on(url, api.tenant, "127.0.0.1", keep=False)
    assert problems[0] == "the replay ended early: notifications were due, and for 1 s none came"
    assert "airports near Seattle: 50 missing" in "".join(problems)
    assert api.get("/v2/subscriptions").json == []
    assert api.get("/v2/entities").json == []


async def test_airports_that_are_not_stored_as_sent_are_seen(api: Api) -> None:
    async def rename_one(request: web.BaseRequest, pass_on: PassOn) -> web.Response:
        response = await pass_on()
        if request.method == "GET" and request.query.get("type") == "Airport":
            assert isinstance(response.body, bytes)
            name = some_airports()[0].name.encode()
            response.body = response.body.replace(name, b"somewhere")
        return response

    run, _ = make_run()
    async with gateway(api.broker, rename_one) as url:
        problems = await run.try_on(url, api.tenant, "127.0.0.1", keep=False)
    assert len(problems) == 1
    assert problems[0].startswith("airports: 1 of 100 not as sent: Airport:")


async def test_a_refusal_ends_the_run_and_what_was_made_is_removed(api: Api) -> None:
    tenth = TenthUpdate()

    async def refuse_the_tenth(request: web.BaseRequest, pass_on: PassOn) -> web.Response:
        if tenth.has_come(request):
            return web.json_response({"error": "NoResourcesAvailable"}, status=413)
        return await pass_on()

    run, _ = make_run()
    async with gateway(api.broker, refuse_the_tenth) as url:
        with pytest.raises(BrokerError, match=r"PATCH .*Seattle/attrs: 413 .*NoResources"):
            await run.try_on(url, api.tenant, "127.0.0.1", keep=False)
    assert api.get("/v2/subscriptions").json == []
    assert api.get("/v2/entities").json == []


async def test_the_death_of_the_broker_is_told(start_broker: StartBroker) -> None:
    broker = start_broker()
    tenth = TenthUpdate()

    async def kill_at_the_tenth(request: web.BaseRequest, pass_on: PassOn) -> web.Response:
        if tenth.has_come(request):
            broker.kill()
        try:
            return await pass_on()
        except aiohttp.ClientError:
            assert request.transport is not None
            request.transport.abort()
            raise

    run, _ = make_run()
    async with gateway(broker, kill_at_the_tenth) as url:
        with pytest.raises(BrokerError, match="PATCH"):
            await run.try_on(url, "", "127.0.0.1", keep=False)
