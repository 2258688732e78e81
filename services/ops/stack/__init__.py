"""The whole system on one machine: its servers, its services and who restarts them."""
