"""How the command line reaches a running menagerie: HTTP for state and uploads, NATS for requests."""
