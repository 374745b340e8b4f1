"""The loopback world itself: what the other tests stand on."""
