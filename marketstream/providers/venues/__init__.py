"""One file per venue: what its frames mean. The sockets are in providers/transport.py."""
