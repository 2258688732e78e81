"""Exact search of perceptual hashes within a Hamming distance, and the file that makes starts quick."""

from services.dedup.index.hashes import HashIndex
from services.dedup.index.hits import Hits
from services.dedup.index.log import HashLog, Held, LogInUse

__all__ = ["HashIndex", "HashLog", "Held", "Hits", "LogInUse"]
