"""The report as one HTML page that needs nothing else: no script, no foreign address, a few hundred kB."""
