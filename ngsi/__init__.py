"""The NGSI standard as pure functions and types: no I/O, no clock of its own, no state.

Everything above (broker, discovery, federation) speaks the one model of `ngsi.model`;
the wire formats (`ngsi.v2`, later `ngsi.v1`) only translate to and from it.
"""
