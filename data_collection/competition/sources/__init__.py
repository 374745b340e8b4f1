"""Where results come from: one interface, several sources, each read defensively."""
