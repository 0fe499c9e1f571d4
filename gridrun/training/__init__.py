"""Robust training against parameter noise: `loop.fit` and what goes into it. Import its files one by one."""
