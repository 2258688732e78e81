"""What every service with an HTTP side needs of it; knows Starlette only, so FastAPI stays a choice."""
