"""From arrivals, labels and proposals to verdicts and pairs."""

from services.dedup.judging.judging import Judged, Judging
from services.dedup.store.pairs import ProposedPair, VerdictPair, verdict_pairs

__all__ = ["Judged", "Judging", "ProposedPair", "VerdictPair", "verdict_pairs"]
