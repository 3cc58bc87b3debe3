"""recpipe: nightly recommendations as tables."""
