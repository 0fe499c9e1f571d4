"""One file a command. gridrun.cli lists them, and imports one when it is called."""
