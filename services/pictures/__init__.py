"""What every reader of hostile picture files agrees on: formats, orientation, alpha, Pillow's bounds."""
