"""Networks made smaller: pruning, dense-sparse-dense, clustering, quantization, distillation; one file a method.

Each method is ``apply(model, data, settings, run)``, which gives the model afterwards and a report. A recipe is a
list of them; ``run.compress`` carries it out. What needs Keras is imported when a network is trained.
"""

from .errors import CompressionError
from .model import Model, open_model, save, select

__all__ = ["CompressionError", "Model", "open_model", "save", "select"]
