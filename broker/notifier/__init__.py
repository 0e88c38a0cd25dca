"""Delivery of notifications: bounded queues per endpoint, order, counters, failures.

Owns: what waits to be sent, who sends it and when it is given up. Must not: block, or know what
a notification is about (payload, subscription state: the caller has `on_result`). HTTP itself is
`broker.sender`; another protocol is another `Sender`.

`Notifier` is the door. Behind it: a queue per endpoint (`endpoint_queue`, `ordered_queue`), the
lanes that empty them (`lanes`), when exchanges are given up (`deadlines`), and what the log says
(`delivery_log`, `drop_log`).
"""

from broker.notifier.notification import STOPPED, TOO_BIG, Heading, Notification, Outcome
from broker.notifier.notifier import Notifier
from broker.notifier.ordered_queue import OrderedQueue
from broker.notifier.statistics import EndpointStatistics, NotifierStatistics

__all__ = [
    "STOPPED",
    "TOO_BIG",
    "EndpointStatistics",
    "Heading",
    "Notification",
    "Notifier",
    "NotifierStatistics",
    "OrderedQueue",
    "Outcome",
]
