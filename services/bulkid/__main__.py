"""``python -m services.bulkid``."""

from services.bulkid.app import create_app
from services.runtime.server import serve

if __name__ == "__main__":
    serve(create_app)
