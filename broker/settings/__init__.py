"""Settings of `rigel broker`: flags, environment, defaults, bounds, documentation.

`Settings` is what a broker is given; `row` reads and checks one setting, `values` the compound
ones, `table` is the one table, `flags` finds what was given, `page` prints the table.
"""

from broker.settings.row import Setting, SettingsError, State
from broker.settings.table import (
    TABLE,
    Durability,
    LogFormat,
    LogLevel,
    Settings,
)
from broker.settings.values import FlowControl, NotificationMode, ServiceQueue

__all__ = [
    "TABLE",
    "Durability",
    "FlowControl",
    "LogFormat",
    "LogLevel",
    "NotificationMode",
    "ServiceQueue",
    "Setting",
    "Settings",
    "SettingsError",
    "State",
]
