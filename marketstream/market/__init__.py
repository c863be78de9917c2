"""The nouns: instruments, quotes, frames, odds, events and the values that chapters exchange. Pure."""
