"""What shops' files say: lines, records, formats. Needs orjson only; what needs Spark is `spark_reader`."""
