"""What runs in the child process: backend-neutral Keras 3, no broker and no database."""
