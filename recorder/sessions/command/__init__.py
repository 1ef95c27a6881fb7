"""Recording of any command: its process, output and events."""
