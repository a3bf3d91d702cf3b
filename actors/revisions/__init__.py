"""Published states of the protocol, one per file, each only where it differed from `sound`."""
