"""The API for people's programs, below ``/api/v1`` (interface.md, section 3): one module per subject."""
