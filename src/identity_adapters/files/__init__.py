"""Reading contacts from files and writing them to files: CSV, JSON Lines and Parquet."""
