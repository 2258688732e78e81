"""Other tools' formats, both ways: one module per format, one record type between them."""
