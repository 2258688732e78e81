"""What crosses a boundary between services, and nothing else.

Imports only pydantic and the standard library (linted), so that any system may depend on it.
"""
