"""Pure functions on arrays and plain values: sets, answers, metrics, threshold report, gate."""
