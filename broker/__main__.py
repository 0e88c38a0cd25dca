"""`rigel broker`: settings, log, event loop; the rest is `broker.server`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvloop

from broker import logs
from broker.journal import JournalError
from broker.records import StateError
from broker.server import Server, stop_on_signals
from broker.settings import Settings, SettingsError
from rigel import __version__

_log = logging.getLogger("rigel.broker")


def main(argv: Sequence[str]) -> int:
    """Run a broker until a signal ends it; returns the exit code."""
    try:
        settings = Settings.load(argv, os.environ)
        limits = logs.configure(settings)
        server = Server(settings, __version__, limits)
        uvloop.run(_serve(server, settings))
    except SettingsError as error:
        print(f"rigel broker: {error}", file=sys.stderr)
        return 2
    except (OSError, JournalError, StateError) as error:
        print(f"rigel broker: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(server: Server, settings: Settings) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    for sentence in settings.ignored:
        _log.warning("%s", sentence)
    with _pid_file(settings.pid_path):
        _announce(await server.start(), settings)
        _freeze_loaded_state()
        await server.run(stop)


def _announce(addresses: list[tuple[str, int]], settings: Settings) -> None:
    port = addresses[0][1]
    shown = ", ".join(
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in addresses
    )
    scheme = "https" if settings.https else "http"
    print(f"Rigel listens on {shown}, data in {settings.data_dir} ({settings.durability})")
    print(f"Try: curl {scheme}://localhost:{port}/version", flush=True)


@contextlib.contextmanager
def _pid_file(path: str) -> Iterator[None]:
    """Keep this process's id in the file while it runs; "" keeps none."""
    if not path:
        yield
        return
    Path(path).write_text(f"{os.getpid()}\n")
    try:
        yield
    finally:
        Path(path).unlink(missing_ok=True)


def _freeze_loaded_state() -> None:
    """Keep the collector from walking the loaded entities again and again.

    Requests make few cycles: seldom collections of many objects cost less than Python's usual
    often ones of few.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
