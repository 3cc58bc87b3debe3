"""Pure functions of frames and plain values, one module a table."""
