"""A made-up shop in the landing folder: planted tastes, any format, and faults that are counted as they are planted.

`shop` and `events` say who buys what and when, `writers` how a shop writes that down, `faults` how a line goes wrong,
`mix` how often; `arriving` makes a day's lines of it all and `writing` puts them into files.
"""

from recpipe.sample.planted import Planted
from recpipe.sample.shop import LEAST, Sample
from recpipe.sample.writing import Wanted, write_sample

__all__ = ["LEAST", "Planted", "Sample", "Wanted", "write_sample"]
