"""How fast gridrun is beside other tools that keep results: `python -m benchmarks` writes RESULTS.md."""
