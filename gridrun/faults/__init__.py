"""Faults and noise in a trained network. Import its files one by one."""
