"""``python -m services.dedup``."""

from services.dedup.app import create_app
from services.runtime.server import serve

if __name__ == "__main__":
    serve(create_app)
