"""The steps. Each one can be taken back: what it made is parked under another name, never dropped."""
