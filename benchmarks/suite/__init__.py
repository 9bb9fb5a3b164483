"""Every measure of speed, peers and limits beside Backburner: `./scripts/bench`."""
