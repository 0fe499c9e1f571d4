"""Cachable tasks: a point's settings in, the science's numbers out. Torch is imported when a task is called."""
