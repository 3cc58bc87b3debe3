"""How good a ranking is, in arrays alone, and the page that shows it: no Spark, no torch."""
