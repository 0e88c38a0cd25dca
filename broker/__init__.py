"""The broker: a synchronous engine, its journal, its notifications, its HTTP routes."""
