"""What people and upstream systems may ask of the library."""
