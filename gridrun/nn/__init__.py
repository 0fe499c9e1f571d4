"""Networks. Import its files one by one."""
