"""``python -m services.evaluator``."""

from services.evaluator.app import create_app
from services.runtime.server import serve

if __name__ == "__main__":
    serve(create_app)
