"""``python -m services.ingest``."""

from services.ingest.app import create_app
from services.runtime.server import serve

if __name__ == "__main__":
    serve(create_app)
