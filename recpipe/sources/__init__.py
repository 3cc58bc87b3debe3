"""What shops' files say: lines, records, formats. No Spark, but for `spark_reader`."""
