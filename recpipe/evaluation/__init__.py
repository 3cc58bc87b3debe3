"""How good a ranking is, in numpy alone: no Spark, no torch."""
