"""The only declarer of streams, consumers, buckets and NATS permissions."""
