"""Pure rules of the library: values in, values out."""
