"""Where quotes come from: the Provider interface, the registry that owns providers, and the feeds themselves."""
