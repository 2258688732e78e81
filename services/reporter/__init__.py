"""The reporting store (a read model of all events) and the web page in front of it."""
