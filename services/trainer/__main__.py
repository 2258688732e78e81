"""``python -m services.trainer``."""

from services.runtime.server import serve
from services.trainer.app import create_app

if __name__ == "__main__":
    serve(create_app)
