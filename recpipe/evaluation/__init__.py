"""How good a ranking is, in arrays alone: no Spark, no torch."""
