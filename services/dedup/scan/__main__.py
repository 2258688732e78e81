"""``menagerie dedup scan``'s work, a process of its own: hostile files, native code, no stack."""

from __future__ import annotations

import signal

from services.dedup.scan.job import child_scan
from services.runtime.child import child_main

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the command, which then ends this process
    child_main(child_scan)
