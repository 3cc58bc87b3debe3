from datetime import date

from recpipe.transforms.as_of import as_of


def test_x(spark):
    assert as_of(spark.createDataFrame([(date(2024, 1, 1),)], "arrived_on date"), date(2024, 1, 1)).count() == 1
