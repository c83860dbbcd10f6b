"""What the system tests stand on: a real server process, raw frames, and the clients' command lines."""
