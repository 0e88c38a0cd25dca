"""A city at work on a broker: real data replayed over HTTP, and every notification checked."""
