"""NGSI version 1: NGSI10 and NGSI9 in the JSON of Orion 3, and in that of FogFlow.

A codec and nothing more: documents to the one model of `ngsi.model` and back. Source of the
spelling: the operations of Orion 3.4 under /v1, and `ngsi.v1.fogflow` for those of FogFlow.
"""
