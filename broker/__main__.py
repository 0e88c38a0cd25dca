"""`rigel broker`: settings, log, event loop; the rest is `broker.server`."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Sequence

import uvloop

from broker import logs
from broker.engine import StateError
from broker.journal import JournalError
from broker.server import Server, stop_on_signals
from broker.settings import Settings, SettingsError
from rigel import __version__

_log = logging.getLogger("rigel.broker")


def main(argv: Sequence[str]) -> int:
    """Run a broker until a signal ends it; returns the exit code."""
    try:
        settings = Settings.load(argv, os.environ)
    except SettingsError as error:
        print(f"rigel broker: {error}", file=sys.stderr)
        return 2
    try:
        limits = logs.configure(settings)
        server = Server(settings, __version__, limits)
        uvloop.run(_serve(server, settings))
    except (OSError, JournalError, StateError) as error:
        print(f"rigel broker: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(server: Server, settings: Settings) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    for sentence in settings.ignored:
        _log.warning("%s", sentence)
    addresses = await server.start()
    _freeze_loaded_state()
    port = addresses[0][1]
    shown = ", ".join(
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in addresses
    )
    print(f"Rigel listens on {shown}, data in {settings.data_dir} ({settings.durability})")
    print(f"Try: curl http://localhost:{port}/version", flush=True)
    await server.run(stop)


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
