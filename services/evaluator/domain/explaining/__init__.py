"""Which parts of a picture a network's score rests on: segments, and what each of them adds."""
