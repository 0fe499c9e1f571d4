"""Where points are computed: here (local.py), and elsewhere."""
