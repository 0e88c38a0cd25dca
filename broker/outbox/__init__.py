"""Durable delivery: notifications that are kept until their receiver has taken them.

For subscriptions that ask for it (`notification.durable`). A notification is a record of the
journal in the tick of the change that triggered it, and stays one until a receiver answers it
with success, or it is given up: too old, or too many behind it. Must not: make notifications, or
send them itself (the notifier does). Costs: a record in the journal at the beginning and one at
the end, and the notification in memory between.

`Outbox` is the door. Behind it: a `Courier` for each subscription with something to deliver, its
`Backlog`, and `kept`, which knows the journal's records.
"""

from broker.outbox.courier import DeliveryRules
from broker.outbox.kept import KIND, KeptNotification
from broker.outbox.outbox import Outbox

__all__ = ["KIND", "DeliveryRules", "KeptNotification", "Outbox"]
