"""Numbers about gates, networks and runs: statistics, moments, agreement, traits."""
