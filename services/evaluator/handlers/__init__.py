"""What the evaluator hears."""

from services.evaluator.handlers.comparing import Comparer
from services.evaluator.handlers.evaluating import Evaluator
from services.evaluator.handlers.flags import FlagNotes
from services.evaluator.handlers.library import LibraryNotes
from services.evaluator.handlers.models import ModelsHeard

__all__ = ["Comparer", "Evaluator", "FlagNotes", "LibraryNotes", "ModelsHeard"]
