"""Contacts from files, and into files: CSV, JSON Lines and Parquet."""
