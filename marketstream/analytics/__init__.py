"""What prices mean: fair values, edges and weights, as pure stages over a MarketState, wired by Analysis."""
