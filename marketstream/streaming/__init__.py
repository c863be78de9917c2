"""How quotes move: the one loop (streamer), the streamz graph (deltas) and the rolling kernel inside it."""
