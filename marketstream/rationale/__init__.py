"""What to say: the facts of a snapshot, the narrator that writes them up and the verifier that reads the result."""
