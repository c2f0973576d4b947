"""The WSGI entry point for any server: ``wsgi:app``."""
