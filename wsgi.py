"""The WSGI entry point for any server: ``wsgi:app``, for the node in the directory that ``VEZA_DATA`` names."""

from web.app import create_app
from web.config import load_config
from web.places import data_directory

app = create_app(load_config(data_directory()))
