"""The adapters around `identity_core`: HTTP, the command line, PostgreSQL, files and configuration."""
