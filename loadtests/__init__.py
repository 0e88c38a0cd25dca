"""Benchmarks: figures of CPU and memory, beside those of nginx in the same run."""
