"""The HTTP face of the broker: routes, request checks, replies. No behaviour of its own."""
