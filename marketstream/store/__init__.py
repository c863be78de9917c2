"""What is kept: records in a database, the inputs of an engine in a journal, quotes in Parquet files."""
