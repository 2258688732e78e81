"""Handlers of the trainer's durables."""

from services.trainer.handlers.cancelling import Canceller
from services.trainer.handlers.children import Children, NotYet
from services.trainer.handlers.exporting import Exporter
from services.trainer.handlers.giving_up import GivingUp
from services.trainer.handlers.running import Trainer
from services.trainer.handlers.searching import Searcher

__all__ = ["Canceller", "Children", "Exporter", "GivingUp", "NotYet", "Searcher", "Trainer"]
