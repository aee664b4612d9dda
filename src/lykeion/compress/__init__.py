"""Model compression: pruning, dense-sparse-dense, clustering, quantization, distillation; one file per method.

Each method is ``apply(model, data, settings, run)``, which returns the resulting model and a report. A recipe is a
list of methods; ``compress`` runs it. Modules that need Keras are imported when a network is trained.
"""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .compressed_model import CompressedModel, kernel_layers, select
    from .compressing import StepRow, compress, read_rows
    from .errors import CompressionError
    from .methods.cluster import Cluster
    from .methods.distill import Distill
    from .methods.dsd import Dsd
    from .methods.prune import Prune
    from .methods.prune_channels import PruneChannels
    from .methods.qat import Qat
    from .methods.quantize import Quantize
    from .network_files import check_classes, litert_file, open_model, save
    from .packing import pack, pack_file, pack_path
    from .report_page import REPORT_COLUMNS, SHOWN_COLUMNS, accuracies, report_table, write_page
    from .sensitivity import Sensitivity, draw_sensitivity, scan_sensitivity
    from .sizes import Sizes, sizes_of
    from .steps import Step, read_recipe

__all__ = [
    "REPORT_COLUMNS", "SHOWN_COLUMNS", "Cluster", "CompressedModel", "CompressionError", "Distill", "Dsd", "Prune",
    "PruneChannels", "Qat", "Quantize", "Sensitivity", "Sizes", "Step", "StepRow", "accuracies", "check_classes",
    "compress", "draw_sensitivity", "kernel_layers", "litert_file", "open_model", "pack", "pack_file", "pack_path",
    "read_recipe", "read_rows", "report_table", "save", "scan_sensitivity", "select", "sizes_of", "write_page",
]  # fmt: skip
__getattr__ = lazy(__name__)
